import type Docker from 'dockerode';
import { type Readable } from 'node:stream';
import { AppError } from '../../shared/errors.ts';
import { type Execution, type LaunchSpec } from '../../runs/executor.ts';
import { containerName, containerOptions } from './container-spec.ts';
import { isOver } from './container-state.ts';
import { bounded, engineGone, isUnreachable, launchError, statusOf, wordsOf } from './engine-errors.ts';
import { holdContainer } from './execution.ts';
import { type OutputOptions } from './output.ts';
import { patiently } from './patience.ts';

/** Creates, attaches, starts: nothing in between, as each round trip delays every run. */
export async function launch(
  docker: Docker,
  { spec, ledger }: { spec: LaunchSpec; ledger: string },
  options: OutputOptions,
): Promise<Execution> {
  const container = await create(docker, { spec, ledger });
  let attached: Readable | null = null;
  try {
    attached = (await container.attach({ stream: true, stdout: true, stderr: true })) as unknown as Readable;
    await container.start();
  } catch (error) {
    attached?.destroy();
    attached = null;
    if (!(await startedAnyway(container, error, options))) throw launchError(error, 'start the container');
  }
  return holdContainer(container, attached, options);
}

async function create(
  docker: Docker,
  { spec, ledger }: { spec: LaunchSpec; ledger: string },
): Promise<Docker.Container> {
  try {
    return await docker.createContainer(containerOptions(spec, ledger));
  } catch (error) {
    if (statusOf(error) === 404) throw imageMissing(spec, error);
    // The connection may have broken after the engine made it; one that never started goes away quietly.
    if (isUnreachable(error)) await removeQuietly(docker.getContainer(containerName(spec.run_id)));
    throw launchError(error, 'create the container');
  }
}

function imageMissing(spec: LaunchSpec, error: unknown): AppError {
  const image = spec.image ?? spec.image_digest ?? 'of this action';
  return new AppError('launch_failed', `The image ${image} is not on this engine: ${wordsOf(error)}.`, {
    next: 'Set POLYCRATE_MCP_PULL so that it is pulled, or name another image in the workspace or in POLYCRATE_MCP_IMAGE.',
    cause: error,
  });
}

/**
 * After a failed start: false once the container is gone, true if it runs although the answer was lost.
 * Removing without force decides, as the engine refuses to remove what runs.
 */
async function startedAnyway(
  container: Docker.Container,
  error: unknown,
  { patience }: OutputOptions,
): Promise<boolean> {
  if (!isUnreachable(error)) {
    await removeQuietly(container);
    return false;
  }
  try {
    return !(await removeIfUnstarted(container, (call) => patiently(patience, call)));
  } catch (cause) {
    throw engineGone(cause, 'say whether the container started; it may run, so the run stays open');
  }
}

async function removeQuietly(container: Docker.Container): Promise<void> {
  await container.remove({ v: true }).catch(() => undefined);
}

type Caller = <T>(call: () => Promise<T>) => Promise<T>;

/**
 * True: it never started and is gone. False: it started. Its state is asked for first, because one that has
 * ended by now could be removed as well, and its log and exit code with it.
 */
export async function removeIfUnstarted(container: Docker.Container, call: Caller): Promise<boolean> {
  try {
    const { State } = await call(() => container.inspect(bounded()));
    if (State.Running || isOver(State)) return false;
    await call(() => container.remove({ v: true }));
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return true;
    if (statusOf(error) === 409) return (await call(() => gone(container))) === true;
    throw error;
  }
}

/** After a refused removal: true if another removal is under way, false if the container runs. */
async function gone(container: Docker.Container): Promise<boolean> {
  try {
    const { State } = await container.inspect(bounded());
    return State.Dead || State.Status === 'removing';
  } catch (error) {
    if (statusOf(error) === 404) return true;
    throw error;
  }
}
