import { rejoin } from '../ledger/rejoin.ts';
import type { Mirror } from '../ledger/mirror.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { End } from '../runs/finish.ts';
import type { Stream } from '../runs/executor.ts';
import { createRunRedaction } from '../runs/run-redaction.ts';
import type { Supervised, SupervisionPorts } from '../runs/supervision.ts';
import { messageOf } from '../shared/errors.ts';
import { ApiError } from './api-error.ts';
import { statusOf } from './mirrored-api-run.ts';
import { isClosed } from './own-record.ts';
import type { PolycrateApi, RemoteRunDetail, RolloutItem } from './polycrate-api.ts';

export interface RemoteEndPorts {
  supervision: Pick<SupervisionPorts, 'ledger' | 'clock' | 'logs' | 'log'>;
  mirror: Pick<Mirror, 'heardOf' | 'storePage'>;
  /** What the output of a run must not show. */
  secretsOf(run: ActionRun): Promise<string[]>;
  redact(text: string): string;
}

/** The API has started it: its record there is ours from now on, also if the mirror has brought it here already. */
export async function noteRun(
  { supervision: { ledger, clock }, mirror }: RemoteEndPorts,
  { guard }: Supervised,
  { api, record, id }: { api: PolycrateApi; record: ActionRun; id: string },
): Promise<void> {
  const known = record.aliases.some((alias) => alias.source === 'api' && alias.id === id);
  if (known && record.launched) return;
  const { started_at, created_at, url } = await api.run(id);
  const at = started_at ?? created_at ?? clock.now();
  const { run_id } = guard;
  const reported = { endpoint: api.name, action_run_id: id, url, submission: null };
  if (!known) await ledger.append({ kind: 'run_submitted', run_id, at: clock.now(), facts: { api: reported }, private: {} }, guard);
  await rejoin({ mirror, clock }, [id]);
  if (record.launched) return;
  const facts = { status: 'running', status_reason: null, launched: true, started_at: at };
  await ledger.append({ kind: 'run_started', run_id, at, facts, private: {} }, guard);
} // prettier-ignore

/** How it ended there; null: it has not. */
export async function endOfItem(
  ports: RemoteEndPorts,
  { api, item, record }: { api: PolycrateApi; item: RolloutItem; record: ActionRun },
): Promise<End | null> {
  const { clock } = ports.supervision;
  const where = `the Polycrate API ${api.name}`;
  const unseen = (why: string): End => ({
    status: 'unknown', status_reason: why, exit_code: null, launched: true, started_at: record.started_at, finished_at: clock.now(), log: null,
  }); // prettier-ignore
  const id = item.action_run ?? record.api?.action_run_id ?? null;
  switch (item.status) {
    case 'skipped':
      if (id === null) {
        const why = `not executed: ${where} skipped item ${item.id}, as it does with blocks that it does not manage itself`;
        return { ...unseen(why), status: 'cancelled', launched: false, started_at: null };
      }
      break;
    case 'completed':
      if (id === null)
        return unseen(`${where} says that item ${item.id} is completed, and names no run of it`);
      break;
    case 'failed':
      if (item.retry_after !== null) return null;
      if (id === null) {
        const why = `not executed: ${where} says that item ${item.id} failed, and names no run of it`;
        return { ...unseen(why), status: 'failed', launched: false, started_at: null };
      }
      break;
    case 'gone':
      if (id === null)
        return unseen(`item ${item.id} is not at ${where} any more, and no run of it was named before`);
      break;
    case 'pending':
    case 'in_progress':
    case 'retrying':
      return null;
    default:
      // A word of a newer API: what the run says counts, if there is one.
      if (id === null) return null;
  }
  return await endOfRun(ports, { api, record, id });
}

async function endOfRun(
  ports: RemoteEndPorts,
  { api, record, id }: { api: PolycrateApi; record: ActionRun; id: string },
): Promise<End | null> {
  const { clock } = ports.supervision;
  let run: RemoteRunDetail;
  try {
    run = await api.run(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.fault !== 'not_found') throw error;
    const why = `its record ${id} is not at the Polycrate API ${api.name} any more, so nobody saw its end`;
    return { status: 'unknown', status_reason: why, exit_code: null, launched: true, started_at: record.started_at, finished_at: clock.now(), log: null };
  }
  if (!isClosed(run)) return null;
  const { log, printed, problem } = await bringLog(ports, { api, record, id });
  const status = statusOf(run.status);
  const said = run.status_reason ?? (status === 'unknown' ? `the API says "${run.status.slice(0, 40)}"` : null);
  const reasons = [said && ports.redact(said), problem].filter((one) => one !== null);
  return {
    status,
    status_reason: reasons.length === 0 ? null : reasons.join('; '),
    exit_code: run.exit_code,
    launched: true,
    started_at: run.started_at ?? record.started_at,
    finished_at: run.finished_at ?? clock.now(),
    log,
    printed,
    // What was really executed.
    ...(run.block_version !== null && { execution: { block_version: run.block_version } }),
  };
} // prettier-ignore

interface Brought extends Pick<End, 'log'> {
  printed: ReadonlyMap<string, number>;
  problem: string | null;
}

/** Its output, which the API has as a whole when it has ended. An interrupted try is passed over, not repeated. */
async function bringLog(
  { supervision: { logs, log: say }, secretsOf }: RemoteEndPorts,
  { api, record, id }: { api: PolycrateApi; record: ActionRun; id: string },
): Promise<Brought> {
  try {
    const { stdout, stderr } = await api.log(id);
    const redaction = createRunRedaction(await secretsOf(record));
    const writer = await logs.open(record.id, { replay: true, clean: redaction.clean });
    for (const [stream, text] of [['stdout', stdout], ['stderr', stderr]] as [Stream, string | null][]) {
      if (text !== null && !writer.write(stream, Buffer.from(text))) await writer.drain();
    }
    return { log: await writer.close(), printed: redaction.printed, problem: null };
  } catch (error) {
    // An API that is away now may have it later; one that will not give it must not keep the run open.
    if (error instanceof ApiError && error.passing && error.fault !== 'strange') throw error;
    say('warn', 'the log of a run at a Polycrate API could not be fetched', { run: record.id, error: messageOf(error) });
    return { log: null, printed: new Map(), problem: `its log could not be fetched: ${messageOf(error)}` };
  }
} // prettier-ignore
