import { spawnSync } from 'node:child_process';
import type { Connection } from '../support/mcp.ts';
import { MAIN } from '../support/mcp.ts';
import { traces, until } from '../support/traces.ts';
import { createBook, send, sendSomething, type Book } from './book.ts';
import { createKills, killServer, killSupervisors, nextMoment, type Kills } from './kills.ts';
import { judge, type Verdict } from './oracle.ts';
import type { SoakPlace } from './place.ts';
import { createRandom, type Random } from './random.ts';

export interface LaneReport {
  seed: number;
  kills: Kills;
  book: Book;
  verdict: Verdict;
}

const SETTLE_MS = 90_000;

/** Kills what serves one ledger again and again in the midst of its work, lets it settle, and judges. */
export async function runLane(
  place: SoakPlace,
  { seed, kills: wanted }: { seed: number; kills: number },
): Promise<LaneReport> {
  const random = createRandom(seed);
  const lane = { place, random, book: createBook(), kills: createKills(), servers: [] as Connection[] };
  while (lane.kills.server + lane.kills.supervisor < wanted) await killOnce(lane);
  await Promise.all(lane.servers.map((server) => killServer(place, server, lane.kills)));
  await settle(lane);
  const verified = verify(place);
  const left = await traces(place.home);
  const verdict = await judge(place, { book: lane.book, kills: lane.kills, verified, left });
  return { seed, kills: lane.kills, book: lane.book, verdict };
}

interface Lane {
  place: SoakPlace;
  random: Random;
  book: Book;
  kills: Kills;
  /** Living ones: one, sometimes two on the same ledger. */
  servers: Connection[];
}

/** In a container a run has a supervisor of its own only once its server ended. */
const VICTIMS = {
  docker: { server: 60, supervisor: 5, 'handed over': 25, everything: 10 },
  local: { server: 60, supervisor: 25, 'handed over': 5, everything: 10 },
};

async function killOnce(lane: Lane): Promise<void> {
  const { place, random, book, kills, servers } = lane;
  const wanted = random.chance(0.3) ? 2 : 1;
  while (servers.length < wanted) servers.push(await place.connect());
  const comes = await nextMoment(place, random);
  for (let calls = 1 + random.below(3); calls > 0; calls--) void sendSomething(random.of(servers), book, random);
  const moment = await comes();
  kills.moments.set(moment, (kills.moments.get(moment) ?? 0) + 1);
  const victim = random.weighed(VICTIMS[place.executor]);
  const server = random.of(servers);
  if (victim !== 'supervisor') servers.splice(servers.indexOf(server), 1);
  if (victim === 'server') await killServer(place, server, kills);
  else if (victim === 'supervisor') await killSupervisors(place, kills);
  else if (victim === 'handed over') {
    // A client that ends: the server passes its open runs on, to a process that is killed at once.
    await Promise.all([server.close(), until('a supervisor', () => place.supervisors(), 300).catch(() => undefined)]);
    await killSupervisors(place, kills);
  } else await Promise.all([killServer(place, server, kills), killSupervisors(place, kills)]);
} // prettier-ignore

/** A last server resolves what is open, and says once more what no answer came for. */
async function settle({ place, book }: Lane): Promise<void> {
  const server = await place.connect();
  try {
    await server.call('get_status');
    const rest = book.asks.filter(({ told, keyed }) => keyed && told.size === 0).slice(-5);
    for (const ask of rest) await send(server, book, { ask, wait_seconds: 10 });
    const open = `SELECT run_id AS id FROM @leases UNION SELECT id FROM @runs WHERE status IN ('pending', 'running')`;
    // What does not settle is for the oracle to tell.
    await until('an end of everything', async () => (await place.rows(open)).length === 0, SETTLE_MS).catch(
      () => undefined,
    );
  } finally {
    await server.close();
  }
  await until('an end of all supervisors', async () => (await place.supervisors()).length === 0).catch(
    () => undefined,
  );
}

/** The words of a verification that found something; null: it is sound. */
export function verify({ home, env }: SoakPlace): string | null {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'ledger', 'verify'], {
    env: { PATH: process.env['PATH']!, HOME: home, POLYCRATE_MCP_HOME: home, ...env },
    encoding: 'utf8',
  });
  // 4: sound as far as it can be told without an anchor.
  return status === 0 || status === 4 ? null : `${status} ${stdout}${stderr}`;
}
