import { type Clock } from '../../shared/ports.ts';
import { type Ending, type Execution, type Leftover } from '../../runs/executor.ts';
import { RUN_VARIABLE } from './local-launch.ts';
import { stopGroup, untilGroupGone } from './process-group.ts';
import { groupMembers, type ProcessStat, processesWithEnv, startedAt, statNow } from './process-table.ts';

const SECOND_LOOK_MS = 30;

/** Looks for processes that carry the run's id in their environment (Linux; elsewhere none can be seen). */
export async function findLocally(
  run_id: string,
  { uid, clock }: { uid: number; clock: Clock },
): Promise<Leftover> {
  const look = (): Promise<ProcessStat[]> => processesWithEnv(`${RUN_VARIABLE}=${run_id}`, uid);
  let [oldest] = await look();
  if (oldest === undefined) {
    // A process shows no environment in the instant in which it replaces its program.
    await clock.sleep(SECOND_LOOK_MS);
    [oldest] = await look();
  }
  if (oldest === undefined) return { state: 'absent' };
  // The leader may be gone while its children live on; the group keeps its number.
  const start = (statNow(oldest.group) ?? oldest).start;
  return { state: 'running', ref: `${oldest.group}:${start}`, started_at: (await startedAt(start)) ?? 0 };
}

/** Follows what is left of a run. Its output went to a dead supervisor, and only a parent sees exit codes. */
export async function adoptLocally(run_id: string, ref: string, clock: Clock): Promise<Execution> {
  const [group, start] = splitRef(ref);
  const ours = await stillOurs(run_id, { group, start });
  const started_at = (await startedAt(start)) ?? clock.now();
  let over = !ours;
  const gone = (ours ? untilGroupGone(group, clock) : Promise.resolve()).then(() => (over = true));
  const ending = gone.then((): Ending => ({
    exit_code: null,
    finished_at: clock.now(),
    out_of_memory: false,
    error: 'its supervisor was killed, so its exit code was not seen',
  }));
  ending.catch(() => undefined);
  return {
    ref,
    started_at,
    image_digest: null,
    over: false,
    ending,
    stop: async (grace_ms) => {
      if (!over) await stopGroup({ group, over: gone, grace_ms }, clock);
    },
    detach: () => undefined,
    dispose: async () => undefined,
  };
}

function splitRef(ref: string): [number, string] {
  const [group, start] = ref.split(':');
  return [Number(group), start ?? ''];
}

/** False: the number belongs to another process by now, or nobody of the group is left. */
async function stillOurs(
  run_id: string,
  { group, start }: { group: number; start: string },
): Promise<boolean> {
  if (!Number.isInteger(group) || group <= 1) return false;
  const members = await groupMembers(group);
  if (members.some((member) => member.pid === group && member.start === start)) return true;
  const marked = await processesWithEnv(`${RUN_VARIABLE}=${run_id}`, process.getuid?.() ?? -1);
  return marked.some((member) => member.group === group);
}
