import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { App } from '../../compose.ts';
import type { JournalStanding } from '../../runs/outage.ts';
import type { Lease } from '../../runs/run-ledger.ts';
import { isElsewhere } from '../../runs/lost.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { count } from '../count.ts';
import { checkOutbox, checkSyncs } from './api.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

type Parts = Pick<App, 'config' | 'services' | 'supervision' | 'outbox' | 'journal'>;

/** Opens the ledger if there is one, and tells what is in it; a missing file is not made. */
export async function checkLedger({
  config,
  services,
  supervision,
  outbox,
  journal,
}: Parts): Promise<Finding[]> {
  const file = join(config.home, 'ledger.db');
  if (config.databaseUrl === null && !(await isThere(file))) {
    return [ok(`ledger ${file} does not exist yet: the first call creates it`)];
  }
  try {
    const spooled = await journal?.outage.standing();
    if (spooled && spooled.away_since !== null) return journalled(spooled);
    const status = await services.ledger.status();
    const { location, runs, events, schema, writable, problem: trouble } = status;
    const text = `ledger ${location}: schema ${schema}, ${runs.total} runs (${runs.open} open), ${events} events`;
    const leases = await services.leases.list();
    return [
      ...(spooled ? journalled(spooled) : []),
      writable ? ok(text) : problem(`${text}; ${trouble}`, { fix: 'install the newest polycrate-mcp' }),
      ...pruning(status.oldest_at, { retention_ms: services.retention_ms, now: services.clock.now() }),
      ...(await checkOutbox({ outbox })),
      ...(await checkSyncs(services)),
      ...kept(await supervision.files.keptOf(), config.home),
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

/** What actions wrote into private copies and could not go back; it leaves with its run, or by hand. */
function kept(runs: readonly string[], home: string): Finding[] {
  if (runs.length === 0) return [];
  const text = `${join(home, 'kept')} has what ${count(runs.length, 'run')} wrote and could not be brought back into a workspace`;
  return [warning(text, { fix: 'take what you need and delete the rest; `polycrate-mcp ledger prune` deletes it with its run' })];
} // prettier-ignore

/** A database that is away, and the journal that stands in for it. */
function journalled({ when_down, away_since, runs, open, last_merge, problem: trouble }: JournalStanding): Finding[] {
  const merged = last_merge && `, ${count(last_merge.runs, 'run')} merged at ${new Date(last_merge.at).toISOString()}`;
  const text = `journal for when the database is away (${when_down}): ${count(runs, 'run')} to merge, ${open} of them open${merged ?? ''}`;
  const state = runs === 0 && trouble === null ? ok(text) : warning(trouble === null ? text : `${text}; ${trouble}`, { fix: 'a server that gets a call merges it' });
  if (away_since === null) return [state];
  const fix = 'check that the database runs where POLYCRATE_MCP_DATABASE_URL says, and that this host reaches it';
  return [problem('the database of the ledger cannot be reached', { fix }), state];
} // prettier-ignore

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function describeLease(lease: Lease, { processes, clock }: App['supervision']): Finding {
  const { run_id, phase, owner, expires_at } = lease;
  const what =
    phase === 'cleanup' ? `run ${run_id} has ended and is being cleaned up` : `run ${run_id} is open`;
  if (lease.executor === 'approval') return ok(`run ${run_id} waits for approval`);
  const where = `process ${owner.pid} on ${owner.host}`;
  const state = processes.state(owner);
  if (expires_at > 0 && state === 'alive') return ok(`${what}, supervised by ${where}`);
  if (isElsewhere(processes, lease) && expires_at < clock.now()) {
    const fix = `start a server on ${owner.host} again; POLYCRATE_MCP_LOST_AFTER closes such runs`;
    return warning(`${what}, and ${where}, which has its log, has not been seen lately`, { fix });
  }
  if (state === 'unseen' && expires_at >= clock.now()) {
    return ok(`${what}, supervised by ${where}, which cannot be seen from here`);
  }
  return warning(`${what}, but nobody supervises it (last: ${where})`, {
    fix: 'none needed: the next server that gets a call follows it to its end',
  });
}
