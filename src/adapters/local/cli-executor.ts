import { mkdir } from 'node:fs/promises';
import { type Clock } from '../../shared/ports.ts';
import { AppError } from '../../shared/errors.ts';
import { type Ending, type Execution, type Executor } from '../../runs/executor.ts';
import { createCliProbe, type CliPlace } from './cli-probe.ts';
import { createTransactionReader, type TransactionReader } from './cli-transaction.ts';
import { adoptLocally, findLocally } from './local-adopt.ts';
import { launchLocally, RUN_VARIABLE } from './local-launch.ts';
import { stopMarked } from './process-group.ts';

const LINGER_MS = 2000;

export interface CliExecutorOptions extends CliPlace {
  /** How long background processes may hold a run's output open after its end; default 2 s. */
  lingerMs?: number;
  /** The folder that the CLI was told to keep a run's files in; may not be there. */
  runtimeFolder(run_id: string): string;
  /** Stops the containers of a transaction. Throws where no engine answers. */
  stopContainers(transaction: string, grace_ms: number): Promise<void>;
  clock: Clock;
}

const UNSEEN = 'whether the toolchain container of the CLI has ended as well cannot be seen from here';

/** Runs the installed Polycrate CLI, which runs the action in a container of its own. */
export function createCliExecutor(options: CliExecutorOptions): Executor {
  const { clock } = options;
  const times = { clock, lingerMs: options.lingerMs ?? LINGER_MS };
  const probe = createCliProbe(options);
  const uid = process.getuid?.() ?? -1;

  const held = (run_id: string, execution: Execution, transaction: TransactionReader): Execution =>
    withContainers(execution, {
      transaction: () => transaction.read(options.runtimeFolder(run_id)),
      stopStrays: (grace_ms) => stopMarked(`${RUN_VARIABLE}=${run_id}`, { uid, grace_ms, clock }),
      stopContainers: options.stopContainers,
    });

  return {
    kind: 'cli',
    adoptable: false,
    status: () => probe.status(),
    installed: () => probe.installed(),
    image: async () => null,
    pull: async (reference) => {
      throw new AppError('refused', `The CLI pulls its images itself, so ${reference} is not pulled.`);
    },
    start: async (spec, sink) => {
      const transaction = createTransactionReader(sink);
      await mkdir(options.runtimeFolder(spec.run_id), { recursive: true, mode: 0o700 });
      return held(spec.run_id, await launchLocally(spec, transaction.sink, times), transaction);
    },
    find: (run_id) => findLocally(run_id, { uid, clock }),
    // A process is never created without being started.
    removeUnstarted: async () => true,
    // An ended process group leaves nothing.
    discard: async () => undefined,
    adopt: async (run_id, ref, sink) =>
      held(run_id, await adoptLocally(run_id, ref, clock), createTransactionReader(sink)),
  };
}

interface Beyond {
  transaction(): Promise<string | null>;
  /** Ends processes of the run that left its group. */
  stopStrays(grace_ms: number): Promise<void>;
  stopContainers(transaction: string, grace_ms: number): Promise<void>;
}

/**
 * A stopped CLI leaves its container: the docker client that it runs has a process group of its own and, having a
 * terminal allocated, passes no signal on. The transaction labels the container, so that the engine can stop it.
 */
function withContainers(execution: Execution, beyond: Beyond): Execution {
  let stopping: Promise<{ unseen: string | null }> | null = null;
  const stopAll = async (grace_ms: number): Promise<{ unseen: string | null }> => {
    const stopped = execution.stop(grace_ms);
    // Read first: the CLI may tidy up when it is told to end.
    const transaction = await beyond.transaction();
    const stopContainers = async (wait_ms: number): Promise<boolean> => {
      if (transaction === null) return false;
      return await beyond.stopContainers(transaction, wait_ms).then(
        () => true,
        () => false,
      );
    };
    await Promise.all([stopped, stopContainers(grace_ms)]);
    await beyond.stopStrays(grace_ms);
    // Again, now that nobody is left who could start one.
    return { unseen: (await stopContainers(0)) ? null : UNSEEN };
  };
  const ending = execution.ending.then(async (end): Promise<Ending> => {
    const transaction = await beyond.transaction();
    const unseen = stopping ? (await stopping).unseen : null;
    return { ...end, transaction, unseen };
  });
  ending.catch(() => undefined);
  return {
    ...execution,
    ending,
    stop: async (grace_ms) => void (await (stopping ??= stopAll(grace_ms))),
  };
}
