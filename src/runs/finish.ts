import { AppError, messageOf } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun, RunStatus } from './action-run.ts';
import type { Ending } from './executor.ts';
import type { LogSummary } from './run-log.ts';
import { redactionsRecord } from './run-redaction.ts';
import type { LeaseGuard } from './run-ledger.ts';
import type { Supervised, SupervisionPorts } from './supervision.ts';

/** How a run ended, as its supervisor saw it. */
export interface End {
  status: RunStatus;
  status_reason: string | null;
  exit_code: number | null;
  launched: boolean;
  started_at: number | null;
  finished_at: number;
  log: LogSummary | null;
  /** What the event of the start would have told, where there is none. */
  execution?: JsonObject | undefined;
  /** Known secrets that the log had, and how often; only their fingerprints are stored. */
  printed?: ReadonlyMap<string, number>;
}

/** Pure: from the facts of an ending to the status and the sentence that explains it. */
export function judge(
  ending: Ending,
  stopping: Supervised['stopping'],
): Pick<End, 'status' | 'status_reason'> {
  const stopped = (why: string): string => (ending.unseen ? `${why}; ${ending.unseen}` : why);
  if (stopping === 'cancelled') return { status: 'cancelled', status_reason: stopped('stopped on request') };
  if (stopping === 'timeout')
    return { status: 'failed', status_reason: stopped('stopped: it ran longer than its time limit') };
  if (ending.exit_code === null)
    return { status: 'unknown', status_reason: ending.error ?? 'nobody saw its exit code' };
  if (ending.out_of_memory) return { status: 'failed', status_reason: 'killed: out of memory' };
  if (ending.exit_code === 0) return { status: 'success', status_reason: ending.error };
  return { status: 'failed', status_reason: ending.error };
}

const RETRY_MS = 1_000;

/**
 * Stores the end, for as long as it takes: what ran stays on the engine until the ledger has its end. Answers
 * null if another process has taken the run meanwhile, which then writes the end itself.
 */
export async function storeEnd(
  ports: SupervisionPorts,
  guard: LeaseGuard,
  end: End,
): Promise<ActionRun | null> {
  for (;;) {
    try {
      const key = end.printed?.size ? await ports.ledger.key('runs') : null;
      return await ports.ledger.append(endEvent(guard, end, key), guard, { phase: 'cleanup', ref: null });
    } catch (error) {
      if (error instanceof AppError && error.code === 'lease_lost') return null;
      ports.log('error', 'the end of a run cannot be stored yet', {
        run: guard.run_id,
        error: messageOf(error),
      });
      await ports.clock.sleep(RETRY_MS);
    }
  }
}

function endEvent(
  { run_id }: LeaseGuard,
  end: End,
  key: Uint8Array | null,
): Parameters<SupervisionPorts['ledger']['append']>[0] {
  const facts: JsonObject = {
    status: end.status,
    status_reason: end.status_reason,
    exit_code: end.exit_code,
    launched: end.launched,
    started_at: end.started_at,
    ...end.execution,
    finished_at: end.finished_at,
    duration_ms: end.started_at === null ? null : Math.max(0, end.finished_at - end.started_at),
    log: end.log && {
      lines: end.log.lines,
      bytes: end.log.bytes,
      sha256: null,
      redactions: null,
      gap: end.log.gap && { ...end.log.gap },
    },
  };
  return {
    kind: 'run_finished',
    run_id,
    at: end.finished_at,
    facts,
    private: {
      ...(end.log && { 'log.sha256': end.log.sha256 }),
      ...(end.log && key && end.printed && { 'log.redactions': redactionsRecord(key, end.printed) }),
    },
  };
}
