import type Docker from 'dockerode';
import { type Leftover } from '../../runs/executor.ts';
import { RUN_LABEL } from './container-spec.ts';
import { timeOf } from './container-state.ts';
import { bounded, statusOf } from './engine-errors.ts';

/** What the engine still has of a run, by its label. */
export async function findLeftover(docker: Docker, run_id: string): Promise<Leftover> {
  const filters = { label: [`${RUN_LABEL}=${run_id}`] };
  const [listed] = await docker.listContainers({ all: true, filters, ...bounded() });
  if (listed === undefined) return { state: 'absent' };
  try {
    const { Id, State, Created } = await docker.getContainer(listed.Id).inspect(bounded());
    if (State.Status === 'created') return { state: 'created', ref: Id };
    const live = State.Running || State.Paused || State.Restarting;
    const started_at = timeOf(State.StartedAt) ?? timeOf(Created) ?? 0;
    return { state: live ? 'running' : 'exited', ref: Id, started_at };
  } catch (error) {
    if (statusOf(error) === 404) return { state: 'absent' };
    throw error;
  }
}

/** Without force, so that the engine itself refuses to remove what runs (409). */
export async function discard(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ v: true });
  } catch (error) {
    const status = statusOf(error);
    if (status !== 404 && status !== 409) throw error;
  }
}
