import { codeOf } from '../../shared/errors.ts';
import { type Clock } from '../../shared/ports.ts';
import { groupMembers, processesWithEnv } from './process-table.ts';

const POLL_MS = 250;

/** False: nobody of that group is left. A group of another user is as good as gone. */
export function signalGroup(group: number, signal: 'SIGTERM' | 'SIGKILL' | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH' || codeOf(error) === 'EPERM') return false;
    throw error;
  }
}

/** Resolves when no living process of the group remains. */
export async function untilGroupGone(group: number, clock: Clock): Promise<void> {
  for (let pause = 10; (await groupMembers(group)).length > 0; pause = Math.min(pause * 2, POLL_MS)) {
    await clock.sleep(pause);
  }
}

export interface GroupStop {
  group: number;
  /** Settles when the leader, or what is watched instead, has ended. */
  over: Promise<unknown>;
  grace_ms: number;
}

/** SIGTERM to everybody in the group, then SIGKILL to whoever is left of it after the grace. */
export async function stopGroup({ group, over, grace_ms }: GroupStop, clock: Clock): Promise<void> {
  if (!signalGroup(group, 'SIGTERM')) return;
  const settled = new AbortController();
  const gone = over.then(() => (signalGroup(group, 0) ? untilGroupGone(group, clock) : undefined));
  await Promise.race([gone, clock.sleep(grace_ms, settled.signal)]);
  settled.abort();
  signalGroup(group, 'SIGKILL');
}

interface Marked {
  uid: number;
  grace_ms: number;
  clock: Clock;
}

/** Stops every group with a process that has this entry in its environment, whichever group that is. */
export async function stopMarked(entry: string, { uid, grace_ms, clock }: Marked): Promise<void> {
  const groups = new Set((await processesWithEnv(entry, uid)).map(({ group }) => group));
  await Promise.all(
    [...groups].map((group) => stopGroup({ group, over: untilGroupGone(group, clock), grace_ms }, clock)),
  );
}
