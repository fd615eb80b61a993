import type { RunFile } from '../actions/launch-spec.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { Ending, Execution, Executor } from './executor.ts';
import { bringBack, makeCopy } from './agreed-files.ts';
import type { RunLogWriter } from './run-log.ts';
import { createRunRedaction, type RunRedaction } from './run-redaction.ts';
import { judge, storeEnd, type End } from './finish.ts';
import { provideImage } from './provide-image.ts';
import {
  REDACTIONS_FILE,
  STOP_GRACE_MS,
  type LaunchPacket,
  type Supervised,
  type SupervisionPorts,
} from './supervision.ts';

/** Starts a recorded run and stays with it to its end. Never throws: whatever happens is in the record. */
export async function launchAndAttend(
  ports: SupervisionPorts,
  executor: Executor,
  run: Supervised,
): Promise<void> {
  const packet = run.packet!;
  const { run_id } = run.guard;
  const redaction = createRunRedaction(packet.redactions);
  const openLog = (): Promise<RunLogWriter> =>
    ports.logs.open(run_id, { replay: false, clean: redaction.clean });
  let writer: RunLogWriter | null = null;
  let execution: Execution;
  try {
    // Before an image is pulled, which may take long: what is there now is what was agreed to.
    await makeCopy(ports, run_id, packet);
    if (packet.build) writer = await openLog();
    const { contexts } = ports;
    const spec = await provideImage({ executor, contexts, packet, signal: run.abort.signal, writer });
    if (packet.copy?.how === 'checked') await makeCopy(ports, run_id, packet);
    if (run.handOn.signal.aborted) return await writer?.abandon();
    if (run.stopping) throw new AppError('refused', 'cancelled');
    [writer] = await Promise.all([
      writer ?? openLog(),
      ports.files.write(run_id, [...packet.files, redactionsFile(packet)]),
    ]);
    // No await between this look and the start: a run is either passed on unstarted, or started here.
    if (run.handOn.signal.aborted) return await writer.abandon();
    const launching = executor.start(spec, writer);
    run.launching = launching;
    execution = await launching;
    run.execution = execution;
  } catch (error) {
    if (run.handOn.signal.aborted && !run.launching) return await writer?.abandon();
    // The engine went away while it was asked to start: only it can tell whether it did.
    if (writer && run.launching && isEngineGone(error)) return await passOn(ports, run, writer);
    // What a build said is kept; without one nothing was written yet.
    const log = packet.build ? ((await writer?.close()) ?? null) : null;
    if (!packet.build) await writer?.abandon();
    const reason = run.stopping ? 'cancelled before it started' : redaction.text(reasonOf(error));
    return await endUnlaunched(ports, run, { status_reason: reason, log, printed: redaction.printed });
  }
  run.packet = null;
  if (run.stopping) void execution.stop(STOP_GRACE_MS);
  await attend(ports, run, { execution, writer, redaction, event: 'run_started' });
}

function isEngineGone(error: unknown): boolean {
  return error instanceof AppError && error.code === 'engine_unavailable';
}

function reasonOf(error: unknown): string {
  return error instanceof AppError ? `not launched: ${error.message}` : `not launched: ${messageOf(error)}`;
}

function redactionsFile({ redactions }: LaunchPacket): RunFile {
  return { name: REDACTIONS_FILE, content: JSON.stringify(redactions) };
}

async function endUnlaunched(
  ports: SupervisionPorts,
  run: Supervised,
  end: Pick<End, 'status_reason' | 'log' | 'printed'>,
): Promise<void> {
  await storeEnd(ports, run.guard, {
    ...end,
    status: run.stopping ? 'cancelled' : 'failed',
    exit_code: null,
    launched: false,
    started_at: null,
    finished_at: ports.clock.now(),
  });
  await cleanUp(ports, run);
}

interface Attended {
  execution: Execution;
  writer: RunLogWriter;
  redaction: RunRedaction;
  event: 'run_started' | 'run_adopted';
}

/** From a started execution to its stored end. The start event and the end may overtake the output, not each other. */
export async function attend(
  ports: SupervisionPorts,
  run: Supervised,
  { execution, writer, redaction, event }: Attended,
): Promise<void> {
  // What is over already has one event instead of two; the wait for a second durable write would be the caller's.
  const started =
    event === 'run_started' && execution.over ? false : recordStart(ports, run, execution, event);
  let ending: Ending | null;
  try {
    ending = await Promise.race([execution.ending, aborted(run.handOn.signal)]);
  } catch (error) {
    // The engine is gone, the execution perhaps not: the run stays open for whoever finds the engine again.
    ports.log('warn', 'lost the engine of an open run', { run: run.guard.run_id, error: messageOf(error) });
    return await passOn(ports, run, writer);
  }
  if (!ending) {
    execution.detach();
    await started;
    return await passOn(ports, run, writer);
  }
  const [log, told] = await Promise.all([writer.close(), started]);
  if (ending.output_incomplete) log.gap ??= { lines: 0, bytes: 0, cause: 'engine' };
  const error = ending.error && redaction.text(ending.error);
  const end = {
    ...(await bringBack(ports, run.guard, endOf(execution, { ...ending, error }, run), redaction)),
    log,
    printed: redaction.printed,
  };
  if (ending.transaction) await recordTransaction(ports, run, ending.transaction);
  const stored = await storeEnd(ports, run.guard, told ? end : { ...end, execution: whatRan(execution) });
  if (stored) await cleanUp(ports, run);
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}

/** Leaves an open run to any process, this one included. */
async function passOn(
  { leases, log }: SupervisionPorts,
  { guard }: Supervised,
  writer: RunLogWriter,
): Promise<void> {
  await writer.abandon();
  await leases.give(guard, 'release').catch((error: unknown) => {
    log('warn', 'a lease could not be released; it is taken when this process is gone', {
      error: messageOf(error),
    });
  });
}

function endOf(execution: Execution, ending: Ending, run: Supervised): Omit<End, 'log'> {
  // A supervisor that was killed while it stopped the run has left no word of why.
  const overran =
    run.timeout_ms !== null &&
    ending.exit_code !== 0 &&
    ending.finished_at - execution.started_at >= run.timeout_ms;
  return {
    ...judge(ending, run.stopping ?? (overran ? 'timeout' : null)),
    exit_code: ending.exit_code,
    launched: true,
    started_at: execution.started_at,
    finished_at: ending.finished_at,
  };
}

function whatRan({ ref, image_digest }: Execution): JsonObject {
  return { 'executor.container': ref, ...(image_digest && { 'executor.image_digest': image_digest }) };
}

/** False: it could not be stored. That does not stop the run: its end carries the same facts. */
async function recordStart(
  { ledger, log }: SupervisionPorts,
  { guard }: Supervised,
  execution: Execution,
  event: 'run_started' | 'run_adopted',
): Promise<boolean> {
  const { ref, started_at } = execution;
  const facts = {
    status: 'running',
    status_reason: null,
    launched: true,
    started_at,
    ...whatRan(execution),
  };
  const change = { phase: 'running', ref } as const;
  try {
    await ledger.append(
      { kind: event, run_id: guard.run_id, at: started_at, facts, private: {} },
      guard,
      change,
    );
    return true;
  } catch (error) {
    log('error', 'the start of a run could not be stored', { error: messageOf(error) });
    return false;
  }
}

/** Best effort: a run without its alias is a run all the same. */
async function recordTransaction(
  { ledger, clock, log }: SupervisionPorts,
  { guard }: Supervised,
  id: string,
): Promise<void> {
  const facts = { alias: { source: 'cli', endpoint: null, id } };
  try {
    await ledger.append(
      { kind: 'run_alias_added', run_id: guard.run_id, at: clock.now(), facts, private: {} },
      guard,
    );
  } catch (error) {
    log('warn', 'the transaction of a run could not be stored', { error: messageOf(error) });
  }
}

/** Removes what the run left on engine and host, then its lease. What fails here is done by the next recovery. */
export async function cleanUp({ files, leases, log }: SupervisionPorts, run: Supervised): Promise<void> {
  try {
    await run.execution?.dispose();
    await files.remove(run.guard.run_id);
    await leases.give(run.guard, 'delete');
  } catch (error) {
    log('warn', 'leftovers of a run remain for the next recovery', {
      run: run.guard.run_id,
      error: messageOf(error),
    });
  }
}
