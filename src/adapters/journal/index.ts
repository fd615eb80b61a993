import type { Records } from '../../history/records.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { keyUnknown } from '../../runs/outage.ts';
import type { RunLedger } from '../../runs/run-ledger.ts';
import type { ProcessTable } from '../../shared/ports.ts';
import type { Beside } from './beside.ts';
import { createLeases } from './leases.ts';
import { unreachable } from './reach.ts';
import { request, type RequestParts } from './requests.ts';
import { asked, routed } from './routing.ts';

export { createBeside, type OpenRun } from './beside.ts';
export { createJournal } from './journal.ts';
export { createOutage } from './outage.ts';
export { ALWAYS_THERE, createReach, type Reach } from './reach.ts';

export interface JournalledParts extends Omit<RequestParts, 'database' | 'beside'> {
  database: Records;
  beside: Beside;
  /** False: what is in the journal is looked after, and nothing new goes into it. */
  spools: boolean;
  processes: Pick<ProcessTable, 'self'>;
}

/**
 * A ledger in a database that may be away. While it is, calls are answered from a journal on this machine, which is a ledger
 * too; what was begun there stays there to its end and its merge. A request that was sent to one is never sent to the other.
 */
export function createJournalledLedger(parts: JournalledParts): Records {
  const { database, journal, reach, beside, spools } = parts;
  const own = journal.records;
  const requests = { ...parts, beside: spools ? beside : null };
  const untold = async (run_id: string): Promise<Records['untold']> =>
    (await journal.has(run_id)) ? own.untold : database.untold;
  const outbox = routed(reach, { database: database.outbox, journal: own.outbox });

  return {
    ...database,
    ledger: ledgerOf(parts, requests),
    leases: createLeases(requests),
    untold: {
      ...routed(reach, { database: database.untold, journal: own.untold }),
      pass: async (seen, to) => (await untold(seen.run_id)).pass(seen, to),
      told: async (run_id) => (await untold(run_id)).told(run_id),
    },
    history: routed(reach, { database: database.history, journal: own.history }),
    trail: routed(reach, { database: database.trail, journal: own.trail }),
    outbox: {
      ...asked(reach, database.outbox),
      // The journal's has nothing to report; what waits in the database goes on waiting.
      due: outbox.due,
      find: outbox.find,
      list: outbox.list,
      standing: outbox.standing,
    },
    mirror: {
      ...asked(reach, database.mirror),
      standings: async () => ((await reach.away()) === null ? database.mirror.standings() : []),
    },
    house: {
      ...asked(reach, database.house),
      async add(event) {
        const since = await reach.away();
        const digest = event.kind === 'policy_loaded' ? (event.facts['digest'] as string) : null;
        if (since === null) {
          await reach.try(() => database.house.add(event));
          if (digest !== null && spools) await beside.policy.write(digest);
        } else if (digest !== null && digest === (await beside.policy.read())) {
          await own.house.add(event);
        } else {
          // Rules that the ledger does not know of come into force when it can be told of them.
          throw unreachable(since);
        }
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
}

function ledgerOf(
  { database, journal, reach, beside, spools }: JournalledParts,
  parts: RequestParts,
): RunLedger {
  const own = journal.records.ledger;
  const findHere = async (id: string): Promise<ActionRun | null> => (journal.isThere() ? own.find(id) : null);
  return {
    ...asked(reach, database.ledger),
    status: routed(reach, { database: database.ledger, journal: own }).status,
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
      if (since === null) return (await reach.try(() => database.ledger.find(id))) ?? (await findHere(id));
      const run = await findHere(id);
      // What is not here may well be in the database.
      if (!run && !(await journal.names(id))) throw unreachable(since);
      return run;
    },
    async proof(run_id) {
      const since = await reach.away();
      const known = since === null ? await reach.try(() => database.ledger.proof(run_id)) : null;
      return known ?? ((await journal.has(run_id)) ? await own.proof(run_id) : null);
    },
    async key(use) {
      if ((await reach.away()) !== null) {
        return (use === 'runs' ? await beside.key.read() : null) ?? (await own.key(use));
      }
      const key = await reach.try(() => database.ledger.key(use));
      if (use === 'runs' && spools) {
        await beside.key.write(key);
        // As long as something is to be merged, it is of the ledger that was there then.
        if ((await journal.unmerged()).length === 0) await beside.ledger.write(await database.check.id());
      }
      return key;
    },
  };
}
