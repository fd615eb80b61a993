import { setTimeout as sleep } from 'node:timers/promises';
import type { Records } from '../../history/records.ts';
import type { Log } from '../../shared/ports.ts';
import type { OpenLedger } from './open.ts';

export interface PostgresOptions {
  /** With user and password; repeated nowhere. */
  url: string;
  log: Log;
  /** How long a call tries to reach a database that went away; 12 seconds. */
  patience_ms?: number;
}

/**
 * The ledger in a PostgreSQL database that several servers share. Nothing is loaded or connected before the first
 * call; a failed attempt is repeated by the next call, so that a database that comes back needs no restart.
 */
export function createPostgresLedger(options: PostgresOptions): Records {
  let opening: Promise<OpenLedger> | null = null;
  const opened = (create = true): Promise<OpenLedger> => {
    opening ??= import('./open.ts').then(({ openLedger }) => openLedger({ ...options, create }));
    opening.catch(() => (opening = null));
    return opening;
  };
  /** Readers of this process need not wait for the notification. */
  const write = async <T>(call: (parts: OpenLedger) => Promise<T>): Promise<T> => {
    const parts = await opened();
    const value = await call(parts);
    parts.watch.wake();
    return value;
  };

  return {
    ledger: {
      request: (intent) => write(({ ledger }) => ledger.request(intent)),
      append: (event, guard, change) => write(({ ledger }) => ledger.append(event, guard, change)),
      replay: async (key, now) => (await opened()).ledger.replay(key, now),
      find: async (id) => (await opened()).ledger.find(id),
      status: async () => (await opened()).ledger.status(),
      key: async () => (await opened()).ledger.key(),
      proof: async (run_id) => (await opened()).ledger.proof(run_id),
    },
    leases: {
      list: async () => (await opened()).leases.list(),
      renew: async (owner, expires_at) => (await opened()).leases.renew(owner, expires_at),
      take: (seen, owner, expires_at) => write(({ leases }) => leases.take(seen, owner, expires_at)),
      give: (guard, how) => write(({ leases }) => leases.give(guard, how)),
    },
    untold: {
      find: async (call, since) => (await opened()).untold.find(call, since),
      pass: async (seen, to) => (await opened()).untold.pass(seen, to),
      told: async (run_id) => (await opened()).untold.told(run_id),
    },
    history: {
      search: async (query) => (await opened()).history.search(query),
      missing: async (wanted) => (await opened()).history.missing(wanted),
      names: async (column, limit) => (await opened()).history.names(column, limit),
      retriggersOf: async (run_id, limit) => (await opened()).history.retriggersOf(run_id, limit),
      ids: async (prefix, limit) => (await opened()).history.ids(prefix, limit),
    },
    trail: {
      append: async (event) => (await opened()).trail.append(event),
      search: async (query) => (await opened()).trail.search(query),
      names: async (column, limit) => (await opened()).trail.names(column, limit),
    },
    watch: {
      // A supervisor's loop rests on this: a ledger out of reach makes it wait, not fail.
      async changed(max_ms, signal) {
        const parts = await opened().catch(() => null);
        await (parts?.watch.changed(max_ms, signal) ?? pause(Math.min(max_ms, OUT_OF_REACH_MS), signal));
      },
    },
    check: {
      verify: async (task, onProgress) => (await opened(false)).check.verify(task, onProgress),
      id: async () => (await opened(false)).check.id(),
      notes: async () => (await opened(false)).check.notes(),
      note: async (notes) => (await opened(false)).check.note(notes),
      claim: async (span) => (await opened(false)).check.claim(span),
    },
    archive: {
      hashes: async (after, limit) => (await opened(false)).archive.hashes(after, limit),
      events: async (run_ids) => (await opened(false)).archive.events(run_ids),
      absent: async (run_ids) => (await opened()).archive.absent(run_ids),
      import: (batch) => write(({ archive }) => archive.import(batch)),
    },
    upkeep: {
      isErased: async (name) => (await opened()).upkeep.isErased(name),
      survey: async (request, onProgress) => (await opened(false)).upkeep.survey(request, onProgress),
      erase: async (request, onProgress) => (await opened(false)).upkeep.erase(request, onProgress),
      planPrune: async (before, onProgress) => (await opened(false)).upkeep.planPrune(before, onProgress),
      prune: async (request, onProgress) => (await opened(false)).upkeep.prune(request, onProgress),
      pruned: async () => (await opened()).upkeep.pruned(),
      clean: async (after, onProgress) => (await opened(false)).upkeep.clean(after, onProgress),
    },
    async close() {
      // An attempt that failed left nothing open.
      await (await opening?.catch(() => null))?.close();
    },
  };
}

const OUT_OF_REACH_MS = 1_000;

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => undefined);
}
