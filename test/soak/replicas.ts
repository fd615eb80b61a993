import { setTimeout as pause } from 'node:timers/promises';
import { serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { traces, until } from '../support/traces.ts';
import { createBook, newAsk, send, type Ask, type Book } from './book.ts';
import { createKills } from './kills.ts';
import { verify } from './lane.ts';
import { judge, type Verdict } from './oracle.ts';
import type { SoakPlace } from './place.ts';
import { createRandom, type Random } from './random.ts';

export interface ReplicaPlan {
  clients: number;
  kills: number;
  /** From one kill to the next, in ms. */
  every_ms: number;
  seed: number;
}

export interface ReplicaReport {
  book: Book;
  verdict: Verdict;
  /** Wishes to which no answer came, although it was asked for again and again. */
  unanswered: string[];
  /** How often a client lost its server and asked another one. */
  reconnects: number;
}

const REPLICAS = 2;
/** How long a client goes on asking for one thing. */
const PATIENCE_MS = 120_000;
const SETTLE_MS = 60_000;
const WAIT_SECONDS = 5;
/** The client's library does not tell when an answer breaks off, so a person would give up after a while. */
const TIMEOUT_MS = 15_000;

interface Team {
  place: SoakPlace;
  replicas: TeamServer[];
  random: Random;
  book: Book;
  unanswered: string[];
  reconnects: number;
  over: boolean;
}

/** Clients that want runs and their ends, of replicas of which one after the other is killed. */
export async function soakReplicas(place: SoakPlace, plan: ReplicaPlan): Promise<ReplicaReport> {
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, () => startOne(place)));
  const team: Team = { place, replicas, random: createRandom(plan.seed), book: createBook(), unanswered: [], reconnects: 0, over: false };
  const clients = Array.from({ length: plan.clients }, () => live(team));
  for (let kill = 0; kill < plan.kills; kill += 1) {
    await pause(plan.every_ms);
    const next = startOne(place);
    await replicas[kill % REPLICAS]!.kill();
    replicas[kill % REPLICAS] = await next;
  }
  team.over = true;
  await Promise.all(clients);
  await settled(place);
  await Promise.all(replicas.map((one) => one.end()));
  await until('an end of all supervisors', async () => (await place.supervisors()).length === 0);
  const { book, unanswered, reconnects } = team;
  const evidence = { book, kills: createKills(), verified: verify(place), left: await traces(place.home) };
  return { book, unanswered, reconnects, verdict: await judge(place, evidence) };
} // prettier-ignore

const startOne = ({ home, env }: SoakPlace): Promise<TeamServer> => serve({ home, env, args: ['--no-auth'] });

/** A person at work: wants one thing after the other, each to its end. */
async function live(team: Team): Promise<void> {
  const { book, random } = team;
  let visitor: Visitor | null = null;
  while (!team.over) {
    const ask = newAsk(book, { random, keyed: true, retrigger_of: null });
    visitor = await insist(team, ask, visitor);
  }
  await visitor?.close().catch(() => undefined);
}

/** The same call again, at another replica, until its run has ended or it is refused. */
async function insist(team: Team, ask: Ask, first: Visitor | null): Promise<Visitor | null> {
  const deadline = Date.now() + PATIENCE_MS;
  let visitor = first;
  while (Date.now() < deadline) {
    visitor ??= await come(team);
    const answer =
      visitor && (await send(visitor, team.book, { ask, wait_seconds: WAIT_SECONDS, timeout: TIMEOUT_MS }));
    if (answer && (answer.error || answer.data.finished)) return visitor;
    if (answer) continue;
    await visitor?.close().catch(() => undefined);
    visitor = null;
    team.reconnects += 1;
  }
  team.unanswered.push(`${ask.reason}: ${[...ask.told].join(', ')}`);
  return visitor;
}

/** Null: it was killed just then. */
async function come({ replicas, random }: Team): Promise<Visitor | null> {
  return await visit({ url: random.of(replicas).url }).catch(() => null);
}

async function settled(place: SoakPlace): Promise<void> {
  const open = `SELECT run_id AS id FROM @leases UNION SELECT id FROM @runs WHERE status IN ('pending', 'running')`;
  // What does not settle is for the oracle to tell.
  await until('an end of everything', async () => (await place.rows(open)).length === 0, SETTLE_MS).catch(
    () => undefined,
  );
}
