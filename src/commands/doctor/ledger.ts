import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { App } from '../../compose.ts';
import type { Lease } from '../../runs/run-ledger.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

type Parts = Pick<App, 'config' | 'services' | 'supervision'>;

/** Opens the ledger if there is one, and tells what is in it; a missing file is not made. */
export async function checkLedger({ config, services, supervision }: Parts): Promise<Finding[]> {
  const file = join(config.home, 'ledger.db');
  if (config.databaseUrl === null && !(await isThere(file))) {
    return [ok(`ledger ${file} does not exist yet: the first call creates it`)];
  }
  try {
    const status = await services.ledger.status();
    const { location, runs, events, schema, writable, problem: trouble } = status;
    const text = `ledger ${location}: schema ${schema}, ${runs.total} runs (${runs.open} open), ${events} events`;
    const leases = await services.leases.list();
    return [
      writable ? ok(text) : problem(`${text}; ${trouble}`, { fix: 'install the newest polycrate-mcp' }),
      ...pruning(status.oldest_at, { retention_ms: services.retention_ms, now: services.clock.now() }),
      ...leases.map((lease) => describeLease(lease, supervision)),
    ];
  } catch (error) {
    const fix = error instanceof AppError ? error.next : undefined;
    // The advice to call us would lead nowhere from here.
    const help = fix && !fix.includes('doctor') ? { fix } : {};
    return [problem(messageOf(error), help)];
  }
}

function pruning(
  oldest_at: number | null,
  { retention_ms, now }: { retention_ms: number | null; now: number },
): Finding[] {
  if (retention_ms === null || oldest_at === null || oldest_at >= now - retention_ms) return [];
  const text = `the ledger holds events since ${new Date(oldest_at).toISOString()}, longer than POLYCRATE_MCP_RETENTION`;
  return [warning(text, { fix: 'run `polycrate-mcp ledger prune`' })];
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function describeLease(
  { run_id, phase, owner, expires_at }: Lease,
  { processes, clock }: App['supervision'],
): Finding {
  const what =
    phase === 'cleanup' ? `run ${run_id} has ended and is being cleaned up` : `run ${run_id} is open`;
  const where = `process ${owner.pid} on ${owner.host}`;
  const state = processes.state(owner);
  if (expires_at > 0 && state === 'alive') return ok(`${what}, supervised by ${where}`);
  if (state === 'unseen' && expires_at >= clock.now()) {
    return ok(`${what}, supervised by ${where}, which cannot be seen from here`);
  }
  return warning(`${what}, but nobody supervises it (last: ${where})`, {
    fix: 'none needed: the next server that gets a call follows it to its end',
  });
}
