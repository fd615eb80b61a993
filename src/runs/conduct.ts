import { AppError, messageOf } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import { isOpen, type ActionRun, type RecordedStep } from './action-run.ts';
import { storeEnd, type End } from './finish.ts';
import { startStep } from './start-step.ts';
import type { StartPorts } from './start.ts';
import { cleanUp } from './supervise-run.ts';
import type { Supervised } from './supervision.ts';

/** How often a step is looked at that gives no sign. */
const LOOK_MS = 1_000;
/** The supervisor of a step may have been killed while this one waits for the step. */
const RECOVER_MS = 3_000;

export interface Conducting {
  /** Each step must be what was agreed to, by its digest. So it must after a crash, whatever it was before. */
  agreed: boolean;
}

type Stop = Pick<End, 'status' | 'status_reason'>;

/** Runs a recorded workflow step by step, from the step that it has reached. Never throws: how it went is in the record. */
export async function conductWorkflow(
  ports: StartPorts,
  run: Supervised,
  { agreed }: Conducting,
): Promise<void> {
  const { run_id } = run.guard;
  for (;;) {
    try {
      return await conduct(ports, run, agreed);
    } catch (error) {
      if (error instanceof AppError && error.code === 'lease_lost') return;
      ports.log('warn', 'a workflow cannot go on yet', { run: run_id, error: messageOf(error) });
      await ports.clock.sleep(LOOK_MS, run.handOn.signal);
    }
    // What was reached is in the ledger, so the next try goes on from there, here or in another process.
    if (run.handOn.signal.aborted) {
      return await ports.supervision.leases.give(run.guard, 'release').catch(() => undefined);
    }
  }
}

async function conduct(ports: StartPorts, run: Supervised, agreed: boolean): Promise<void> {
  const { supervision, clock } = ports;
  const record = await supervision.ledger.find(run.guard.run_id);
  if (!record || !isOpen(record)) return await cleanUp(supervision, run);
  const started_at = record.started_at ?? clock.now();
  // What a supervisor needs to enforce a time limit; `follow` hears what is asked of it.
  run.execution = { started_at, stop: async () => undefined, dispose: async () => undefined };
  const ended = await inOrder(ports, run, { record, started_at, agreed });
  if (ended) await finish(ports, run, { ...ended, record, started_at });
  else await supervision.leases.give(run.guard, 'release');
}

interface Course {
  record: ActionRun;
  started_at: number;
  agreed: boolean;
}

/** Null: another process goes on with it. */
async function inOrder(ports: StartPorts, run: Supervised, course: Course): Promise<{ stop: Stop } | null> {
  const { record } = course;
  const failed: string[] = [];
  for (const step of record.steps ?? []) {
    if (run.handOn.signal.aborted) return null;
    if (!(await ports.supervision.ledger.find(step.run_id))) {
      if (run.stopping) return { stop: stopped(run.stopping, `before step ${step.name}`) };
      if (record.started_at === null && step === record.steps?.[0]) await recordStart(ports, run, course);
      const refusal = await startStep(ports, { parent: record, step, agreed: course.agreed });
      if (refusal !== null) {
        return { stop: { status: 'failed', status_reason: `step ${step.name} was not started: ${refusal}` } };
      }
    }
    const ended = await follow(ports, run, { record, step });
    if (!ended) return null;
    const stop = verdict(ended, { run, step, allowed: record.allow_failure === true });
    if (stop) return { stop };
    if (ended.status !== 'success') failed.push(step.name);
  }
  const few = failed.length > 0 ? `the workflow allows failures: ${failed.join(', ')} failed` : null;
  return { stop: { status: 'success', status_reason: few } };
}

/** Null: go on with the next step. */
function verdict(
  ended: ActionRun,
  { run, step, allowed }: { run: Supervised; step: RecordedStep; allowed: boolean },
): Stop | null {
  if (run.stopping) return stopped(run.stopping, `in step ${step.name}`);
  const why = ended.status_reason === null ? '' : `: ${ended.status_reason}`;
  switch (ended.status) {
    case 'success':
      return null;
    case 'cancelled':
      return { status: 'cancelled', status_reason: `step ${step.name} was cancelled` };
    case 'failed':
      return allowed ? null : { status: 'failed', status_reason: `step ${step.name} failed${why}` };
    default:
      // Nobody knows whether it is over, so nothing is put on top of it, also where failures are allowed.
      return { status: 'unknown', status_reason: `nobody saw the end of step ${step.name}${why}` };
  }
}

function stopped(why: 'cancelled' | 'timeout', where: string): Stop {
  if (why === 'cancelled') return { status: 'cancelled', status_reason: `stopped on request, ${where}` };
  return { status: 'failed', status_reason: `stopped: it ran longer than its time limit, ${where}` };
}

async function recordStart(ports: StartPorts, { guard }: Supervised, { started_at }: Course): Promise<void> {
  const facts = { status: 'running', launched: true, started_at };
  await ports.supervision.ledger.append(
    { kind: 'run_started', run_id: guard.run_id, at: started_at, facts, private: {} },
    guard,
    { phase: 'running', ref: null },
  );
}

/** Waits for the end of a step, whoever supervises it, and passes on to it that it is to stop. Null: handed on. */
async function follow(
  ports: StartPorts,
  run: Supervised,
  { record, step }: { record: ActionRun; step: RecordedStep },
): Promise<ActionRun | null> {
  const { ledger, watch } = ports.supervision;
  const both = AbortSignal.any([run.handOn.signal, run.abort.signal]);
  let looked_at = ports.clock.now();
  let asked = false;
  for (;;) {
    if (run.handOn.signal.aborted) return null;
    const found = await ledger.find(step.run_id);
    if (!found) throw new AppError('internal', `the record of step ${step.name} is gone`);
    if (!isOpen(found)) return found;
    if (run.stopping && !asked) {
      await askToStop(ports, run, { record, step });
      asked = true;
    }
    await watch.changed(LOOK_MS, asked ? run.handOn.signal : both);
    if (Math.abs(ports.clock.now() - looked_at) < RECOVER_MS) continue;
    looked_at = ports.clock.now();
    await ports.supervisor.recover();
  }
}

async function askToStop(
  { supervision: { ledger }, clock }: StartPorts,
  run: Supervised,
  { record, step }: { record: ActionRun; step: RecordedStep },
): Promise<void> {
  const asked = run.stopping === 'cancelled' ? await ledger.find(record.id) : null;
  await ledger.append({
    kind: 'run_cancel_requested',
    run_id: step.run_id,
    at: clock.now(),
    facts: {},
    private: {
      cancelled_by: asked?.cancelled_by ?? null,
      cancel_reason: asked ? (asked.cancel_reason ?? null) : 'the time limit of its workflow is over',
    },
  });
}

/** Steps that were not run are named with the reason: none is left out silently. */
async function finish(
  ports: StartPorts,
  run: Supervised,
  { stop, record, started_at }: Omit<Course, 'agreed'> & { stop: Stop },
): Promise<void> {
  const { ledger } = ports.supervision;
  const ran = await Promise.all((record.steps ?? []).map(({ run_id }) => ledger.find(run_id)));
  const launched = ran.some((child) => child?.launched === true);
  const steps = (record.steps ?? []).map((step, index): JsonObject => ({
    ...step,
    not_run: ran[index] ? null : (stop.status_reason ?? 'the workflow ended before it'),
  }));
  const stored = await storeEnd(ports.supervision, run.guard, {
    ...stop,
    exit_code: null,
    launched,
    started_at: launched ? started_at : null,
    finished_at: ports.clock.now(),
    log: null,
    execution: { steps },
  });
  if (stored) await cleanUp(ports.supervision, run);
}
