import type { Records } from '../../history/records.ts';
import { awayText, keyUnknown, type JournalStanding, type Outage } from '../../runs/outage.ts';
import type { RunLedger } from '../../runs/run-ledger.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Beside } from './beside.ts';
import { countOpen, type Journal } from './journal.ts';
import { createLeases } from './leases.ts';
import { unreachable, type Reach } from './reach.ts';
import { request, type RequestParts } from './requests.ts';

export interface JournalledParts {
  database: Records;
  journal: Journal;
  reach: Reach;
  beside: Beside;
  /** False: what is in the journal is looked after, and nothing new goes into it. */
  spools: boolean;
  goesOn: RequestParts['goesOn'];
  clock: Clock;
  log: Log;
}

/**
 * A ledger in a database that may be away. While it is, calls are answered from a journal on this machine, which is a ledger
 * too; what was begun there stays there to its end and its merge. A request that was sent to one is never sent to the other.
 */
export function createJournalledLedger(parts: JournalledParts): Records {
  const { database, journal, reach, beside } = parts;
  const own = journal.records;
  const requestParts = { ...parts, beside: parts.spools ? beside : null };
  const ask = <K extends keyof Records>(room: K): Records[K] => asked(reach, database[room] as object) as Records[K];
  const either = <K extends keyof Records>(room: K): Records[K] =>
    routed(reach, { database: database[room] as object, journal: own[room] as object }) as Records[K];
  const held = async <K extends 'ledger' | 'untold'>(room: K, run_id: string): Promise<Records[K] | null> =>
    (await journal.has(run_id)) ? own[room] : null;

  return {
    ...database,
    ledger: ledgerOf(parts, requestParts),
    leases: createLeases(requestParts),
    untold: {
      ...either('untold'),
      pass: async (seen, to) => ((await held('untold', seen.run_id)) ?? database.untold).pass(seen, to),
      told: async (run_id) => ((await held('untold', run_id)) ?? database.untold).told(run_id),
    },
    history: either('history'),
    trail: either('trail'),
    outbox: {
      ...ask('outbox'),
      // Nothing is reported of what is journalled; what waits in the database goes on waiting.
      due: async (now, limit, endpoints) => ((await reach.away()) === null ? database.outbox.due(now, limit, endpoints) : []),
      find: async (run_id) => ((await reach.away()) === null ? database.outbox.find(run_id) : null),
      list: either('outbox').list,
      standing: either('outbox').standing,
    },
    mirror: {
      ...ask('mirror'),
      standing: async (source, endpoint) => ((await reach.away()) === null ? database.mirror.standing(source, endpoint) : null),
      standings: async () => ((await reach.away()) === null ? database.mirror.standings() : []),
    },
    house: {
      ...ask('house'),
      async add(event) {
        const digest = event.kind === 'policy_loaded' ? (event.facts['digest'] as string) : null;
        if ((await reach.away()) === null) {
          await reach.try(() => database.house.add(event));
          if (digest !== null && parts.spools) await beside.policy.write(digest);
        } else if (digest !== null && digest === (await beside.policy.read())) await own.house.add(event);
        // Other rules than the ledger knows of come into force when it can be told of them.
        else throw unreachable((await reach.away()) ?? parts.clock.now());
      },
    },
    watch: {
      async changed(max_ms, signal) {
        if (!journal.isThere()) return await database.watch.changed(max_ms, signal);
        const over = new AbortController();
        const until = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
        await Promise.race([database, own].map(({ watch }) => watch.changed(max_ms, until)));
        over.abort();
      },
    },
    async close() {
      reach.close();
      await Promise.all([database.close(), own.close()]);
    },
  };
} // prettier-ignore

function ledgerOf(
  { database, journal, reach, beside, spools }: JournalledParts,
  parts: RequestParts,
): RunLedger {
  const own = journal.records.ledger;
  const find = (id: string): Promise<Awaited<ReturnType<RunLedger['find']>>> =>
    journal.isThere() ? own.find(id) : Promise.resolve(null);
  return {
    ...asked(reach, database.ledger),
    request: (intent) => request(parts, intent),
    async append(event, guard, change, write_id) {
      if (await journal.has(event.run_id)) return await own.append(event, guard, change);
      return await reach.try(() => database.ledger.append(event, guard, change, write_id));
    },
    async replay(idempotency, now) {
      const since = await reach.away();
      if (since !== null) throw keyUnknown(since);
      return await reach.try(() => database.ledger.replay(idempotency, now));
    },
    async find(id) {
      const since = await reach.away();
      if (since === null) return (await reach.try(() => database.ledger.find(id))) ?? (await find(id));
      const run = await find(id);
      // It may well be in the database.
      if (!run) throw unreachable(since);
      return run;
    },
    status: routed(reach, { database: database.ledger, journal: own }).status,
    async proof(run_id) {
      const known =
        (await reach.away()) === null ? await reach.try(() => database.ledger.proof(run_id)) : null;
      return known ?? ((await journal.has(run_id)) ? await own.proof(run_id) : null);
    },
    async key(use) {
      if ((await reach.away()) !== null) {
        return (use === 'runs' ? await beside.key.read() : null) ?? (await own.key(use));
      }
      const key = await reach.try(() => database.ledger.key(use));
      if (use === 'runs' && spools) await beside.key.write(key);
      return key;
    },
  };
}

/** What is to be known of the journal besides the answers from it. */
export function createOutage({
  database,
  journal,
  reach,
  beside,
  spools,
  problem,
}: Pick<JournalledParts, 'database' | 'journal' | 'reach' | 'beside' | 'spools'> & {
  problem: () => string | null;
}): Outage {
  return {
    away: () => reach.away(),
    async says(run_id) {
      const since = await reach.away();
      if (since !== null) {
        return `the ledger cannot be asked, ${awayText(since)}: this answer knows only what was journalled on this machine since then, which is merged when the database is back`;
      }
      if (run_id === null || !(await journal.has(run_id))) return null;
      const [absent] = await database.archive.absent([run_id]);
      return absent === undefined
        ? null
        : `run ${run_id} was journalled on this machine while the database of the ledger was away; it is in no search and no count until it has ended and is merged`;
    },
    async standing(): Promise<JournalStanding> {
      const runs = await journal.unmerged();
      return {
        when_down: spools ? 'spool' : 'refuse',
        away_since: await reach.away(),
        runs: runs.length,
        open: countOpen(runs),
        last_merge: (await beside.merges.read()).last,
        problem: problem(),
      };
    },
  };
}

type Method = (...given: unknown[]) => Promise<unknown>;

/** The same methods, each answered from the journal while the database is away. */
function routed<T extends object>(reach: Reach, { database, journal }: { database: T; journal: T }): T {
  return each(database, (name) => async (...given) => {
    const [here, there] = [database[name] as Method, journal[name] as Method];
    return (await reach.away()) === null ? await reach.try(() => here(...given)) : await there(...given);
  });
}

/** The same methods, each failing at once while the database is away. */
function asked<T extends object>(reach: Reach, database: T): T {
  return each(
    database,
    (name) =>
      (...given) =>
        reach.ask(() => (database[name] as Method)(...given)),
  );
}

function each<T extends object>(of: T, make: (name: keyof T) => Method): T {
  const names = Object.keys(of) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, make(name)])) as T;
}
