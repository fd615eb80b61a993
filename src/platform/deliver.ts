import type { ActionRun, RemoteReport, RunEvent } from '../runs/action-run.ts';
import { isOpen } from '../runs/action-run.ts';
import { NOT_DUE, type Submission, type SubmissionState, type SubmissionStep } from '../runs/outbox.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import type { JsonObject } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';
import { ApiError } from './api-error.ts';
import type { OnRemoteConflict } from './endpoints.ts';
import { findOwnRecord, isFinishedByUs, ownRunId } from './own-record.ts';
import type { PolycrateApi, RemoteRecord, ReportedBlock } from './polycrate-api.ts';
import { finishReport, oneShotReport, startReport, type ReportParts } from './report.ts';

export interface DeliverPorts extends Pick<ReportParts, 'logs'> {
  api: PolycrateApi;
  on_remote_conflict: OnRemoteConflict;
  ledger: Pick<RunLedger, 'find'>;
  checkpoint(): Promise<JsonObject | null>;
  clock: Clock;
  /** Ends what is under way. */
  signal: AbortSignal;
  /** Told right before a request that writes. */
  sending(step: SubmissionStep): void;
}

/** How a report stands after one step: its next state (null: nothing is left to do) and what is to be recorded. */
export interface Step {
  next: SubmissionState | null;
  api: RemoteReport | null;
}

/** After a request without an answer: it may still be on its way, so it is looked for no sooner. */
export const SETTLE_MS = 20_000;
/** Until a run of our own that is in the way has been reported. */
const BEHIND_OWN_MS = 2_000;

/** What the next request would be; null: nothing before the run goes on. */
export function nextStep(submission: Submission, run: ActionRun): SubmissionStep | null {
  const { phase } = submission;
  if (isOpen(run)) return phase === 'waiting' && run.launched ? 'start' : null;
  if (phase === 'started') return 'finish';
  // What nobody launched has nothing that happened, unless a start that was sent may have told otherwise.
  return run.launched || submission.unsure ? 'report' : null;
}

/** One step of one report. Throws `ApiError`; what was sent by then is noted in `submission.unsure`. */
export async function deliver(
  ports: DeliverPorts,
  submission: Submission,
  { run, place, before }: { run: ActionRun; place: ReportedBlock; before: SubmissionState['unsure'] },
): Promise<Step> {
  if (before && before.step !== 'finish') {
    const found = await findOwnRecord(ports.api, { run, place, since: before.at }, ports);
    // An open one is of a start that arrived, whatever was sent after it.
    if (found?.closed && before.step === 'report') return delivered(ports.api, submission, found);
    if (found) return adopted(ports.api, submission, found);
  }
  switch (nextStep({ ...submission, unsure: null }, run)) {
    case 'start':
      return await start(ports, submission, { run, place });
    case 'finish':
      return await finish(ports, submission, { run, before });
    case 'report': {
      const parts = { logs: ports.logs, checkpoint: await ports.checkpoint() };
      const report = await oneShotReport(run, place, parts);
      ports.sending('report');
      return delivered(ports.api, submission, await ports.api.report(report, ports));
    }
    case null:
      return isOpen(run)
        ? { next: { ...stateOf(submission), due_at: NOT_DUE, unsure: null }, api: null }
        : NOTHING_LEFT;
  }
}

const NOTHING_LEFT: Step = { next: null, api: null };

async function start(
  ports: DeliverPorts,
  submission: Submission,
  { run, place }: { run: ActionRun; place: ReportedBlock },
): Promise<Step> {
  const { api, on_remote_conflict } = ports;
  // The record in the way is cancelled only after it was seen to be somebody else's.
  const force = on_remote_conflict === 'force' && submission.conflict !== null;
  ports.sending('start');
  const answer = await api.start(startReport(run, place, force), ports).catch((error: unknown) => {
    // Older servers have no such operation; a block that is unknown will be refused at the end as well.
    if (error instanceof ApiError && error.fault === 'not_found') return null;
    throw error;
  });
  if (!answer) return waitForEnd(submission, null);
  if (answer.outcome === 'started') return adopted(api, submission, answer.record);
  const holder = ownRunId(await api.run(answer.record.id, ports));
  if (holder === run.id) return adopted(api, submission, answer.record);
  // A run of this ledger that is over, or beside this one on purpose: its own report makes room.
  if (holder !== null && (await ports.ledger.find(holder))) {
    const due_at = ports.clock.now() + BEHIND_OWN_MS;
    return { next: { ...stateOf(submission), phase: 'waiting', unsure: null, due_at }, api: null };
  }
  if (on_remote_conflict === 'force' && submission.conflict === null) {
    const conflict = answer.record.id;
    return { next: { ...stateOf(submission), unsure: null, conflict, due_at: 0 }, api: null };
  }
  return waitForEnd(submission, { api, conflict: answer.record });
}

/** Reported as a whole when it is over. */
function waitForEnd(
  submission: Submission,
  found: { api: PolycrateApi; conflict: RemoteRecord } | null,
): Step {
  const conflict = found?.conflict.id ?? submission.conflict;
  const next = {
    ...stateOf(submission),
    phase: 'one_shot' as const,
    unsure: null,
    due_at: NOT_DUE,
    conflict,
  };
  if (!found) return { next, api: null };
  const { name: endpoint } = found.api;
  return { next, api: { endpoint, action_run_id: null, url: null, submission: 'conflict', conflict } };
}

async function finish(
  ports: DeliverPorts,
  submission: Submission,
  { run, before }: { run: ActionRun; before: SubmissionState['unsure'] },
): Promise<Step> {
  const { api } = ports;
  const remote = submission.remote!;
  const isDone = async (): Promise<boolean> => isFinishedByUs(await api.run(remote.id, ports), run.id);
  if (before?.step === 'finish' && (await isDone())) return delivered(api, submission, remote);
  const parts = { logs: ports.logs, checkpoint: await ports.checkpoint() };
  try {
    const report = await finishReport(run, parts);
    ports.sending('finish');
    const { url } = await api.finish(remote.id, report, ports);
    return delivered(api, submission, { id: remote.id, url: url ?? remote.url });
  } catch (error) {
    // A second finish is refused in several ways; what counts is what the record says.
    const refused = error instanceof ApiError && (error.fault === 'conflict' || error.fault === 'invalid');
    if (refused && (await isDone())) return delivered(api, submission, remote);
    throw error;
  }
}

function adopted(api: PolycrateApi, submission: Submission, { id, url }: RemoteRecord): Step {
  return {
    next: {
      ...stateOf(submission),
      phase: 'started',
      remote: { id, url },
      unsure: null,
      attempts: 0,
      problem: null,
      due_at: NOT_DUE,
    },
    api: { ...reportOf(api, submission, { id, url }), submission: 'started' },
  };
}

function delivered(api: PolycrateApi, submission: Submission, record: RemoteRecord): Step {
  return { next: null, api: { ...reportOf(api, submission, record), submission: 'delivered' } };
}

function reportOf(
  { name: endpoint }: PolycrateApi,
  { conflict }: Submission,
  { id, url }: RemoteRecord,
): Omit<RemoteReport, 'submission'> {
  return { endpoint, action_run_id: id, url, ...(conflict !== null && { conflict }) };
}

export function stateOf(submission: SubmissionState): SubmissionState {
  const { phase, due_at, remote, unsure, attempts, problem, conflict } = submission;
  return { phase, due_at, remote, unsure, attempts, problem, conflict };
}

export function submittedEvent(run_id: string, at: number, api: RemoteReport): RunEvent {
  return { kind: 'run_submitted', run_id, at, facts: { api: { ...api } }, private: {} };
}
