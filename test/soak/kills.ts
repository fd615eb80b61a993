import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from '../support/mcp.ts';
import { kill9 } from '../support/traces.ts';
import { witnesses } from './actions.ts';
import type { SoakPlace } from './place.ts';
import type { Random } from './random.ts';
import { codeOf } from '../../src/shared/errors.ts';

/** What a kill waits for: an effect that can be seen from outside, or just a time. */
const MOMENTS = {
  'at once': 10,
  'some time': 25,
  intent: 12,
  create: 8,
  start: 8,
  'action began': 8,
  'action ended': 8,
  die: 6,
  'end stored': 10,
  destroy: 5,
};
type Moment = keyof typeof MOMENTS;

const SOME_TIME_MS = 600;
/** An effect that does not come: the kill comes all the same. */
const PATIENCE_MS = 1_200;

export interface Kills {
  server: number;
  supervisor: number;
  /** How many kills had seen their moment's effect, by its name. */
  moments: Map<string, number>;
  /** Runs whose supervising process was killed: only of these may nobody have seen the end. */
  unwatched: Set<string>;
}

export function createKills(): Kills {
  return { server: 0, supervisor: 0, moments: new Map(), unwatched: new Set() };
}

/** Takes the count before the calls are sent, so that an effect of theirs cannot be missed. */
export async function nextMoment(place: SoakPlace, random: Random): Promise<() => Promise<Moment>> {
  const moment = random.weighed(MOMENTS);
  const jitter = random.chance(0.5) ? random.below(25) : 0;
  const wait = moment === 'some time' ? random.below(SOME_TIME_MS) : jitter;
  const before = await countOf(place, moment);
  return async () => {
    const deadline = Date.now() + PATIENCE_MS;
    while (before !== null && Date.now() < deadline && (await countOf(place, moment)) === before) await pause(4);
    if (moment !== 'at once') await pause(wait);
    return moment;
  };
} // prettier-ignore

/** Null: nothing to count. */
async function countOf(place: SoakPlace, moment: Moment): Promise<number | null> {
  const events = async (kind: string): Promise<number> => {
    const [row] = await place.rows(`SELECT count(*) AS n FROM @events WHERE kind = '${kind}'`);
    return Number(row?.n ?? 0);
  };
  const told = (): Witness[] => [...witnesses(place.workspace.path).values()];
  switch (moment) {
    case 'at once':
    case 'some time':
      return null;
    case 'intent':
      return await events('run_requested');
    case 'end stored':
      return await events('run_finished');
    case 'action began':
      return told().reduce((sum, { starts }) => sum + starts, 0);
    case 'action ended':
      return told().reduce((sum, { ends }) => sum + ends.length, 0);
    case 'create':
    case 'start':
    case 'die':
    case 'destroy':
      return place.engine?.count(moment) ?? null;
  }
}
type Witness = ReturnType<typeof witnesses> extends Map<string, infer W> ? W : never;

export async function killServer(place: SoakPlace, server: Connection, kills: Kills): Promise<void> {
  // Throws if it is gone already: a server that ends by itself is a fault, too.
  await noteUnwatched(place, server.pid, kills, () => kill9(server));
  kills.server += 1;
}

export async function killSupervisors(place: SoakPlace, kills: Kills): Promise<void> {
  for (const pid of await place.supervisors()) {
    try {
      await noteUnwatched(place, pid, kills, async () => void process.kill(pid, 'SIGKILL'));
      kills.supervisor += 1;
    } catch (error) {
      // It ended by itself meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** The fence of who stored an intent; on this host, such a process has not started anything. */
const OF_THE_INTENT = 1;
/** A database may still be carrying out what a dead process asked for. */
const IN_FLIGHT_MS = 15;

/** Stopped before it is killed, so that what it supervises can be read before anybody takes it over. */
async function noteUnwatched(
  place: SoakPlace,
  pid: number,
  kills: Kills,
  kill: () => Promise<void>,
): Promise<void> {
  const note = async (): Promise<void> => {
    for (const { run_id, owner, fence } of await place.rows('SELECT run_id, owner, fence FROM @leases')) {
      if (JSON.parse(owner).pid === pid && fence > OF_THE_INTENT) kills.unwatched.add(run_id);
    }
  };
  for (;;) {
    process.kill(pid, 'SIGSTOP');
    await pause(IN_FLIGHT_MS);
    try {
      await note();
      break;
    } catch (error) {
      // Stopped while it held a lock of the file: nobody can read until it goes on.
      if (!/^SQLITE_(BUSY|PROTOCOL)/.test(String(codeOf(error)))) throw error;
      process.kill(pid, 'SIGCONT');
      await pause(IN_FLIGHT_MS);
    }
  }
  await kill();
}
