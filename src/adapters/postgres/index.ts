import { setTimeout as sleep } from 'node:timers/promises';
import type { Records } from '../../history/records.ts';
import type { Log } from '../../shared/ports.ts';
import { loadDriver } from './driver.ts';
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
      append: (event, guard, change, write_id) =>
        write(({ ledger }) => ledger.append(event, guard, change, write_id)),
      withdraw: (write_id) => write(({ ledger }) => ledger.withdraw(write_id)),
      answer: (answer) => write(({ ledger }) => ledger.answer(answer)),
      replay: async (key, now) => (await opened()).ledger.replay(key, now),
      find: async (id) => (await opened()).ledger.find(id),
      status: async () => (await opened()).ledger.status(),
      key: async (use) => (await opened()).ledger.key(use),
      proof: async (run_id) => (await opened()).ledger.proof(run_id),
    },
    leases: {
      now: async () => (await opened()).leases.now(),
      list: async () => (await opened()).leases.list(),
      renew: async (owner, expires_at) => (await opened()).leases.renew(owner, expires_at),
      take: (seen, owner, expires_at, write_id) =>
        write(({ leases }) => leases.take(seen, owner, expires_at, write_id)),
      promote: (guard, to) => write(({ leases }) => leases.promote(guard, to)),
      give: (guard, how) => write(({ leases }) => leases.give(guard, how)),
    },
    untold: {
      find: async (call, since) => (await opened()).untold.find(call, since),
      pass: async (seen, to) => (await opened()).untold.pass(seen, to),
      told: async (run_id) => (await opened()).untold.told(run_id),
    },
    outbox: {
      due: async (now, limit, endpoints) => (await opened()).outbox.due(now, limit, endpoints),
      list: async (limit) => (await opened()).outbox.list(limit),
      find: async (run_id) => (await opened()).outbox.find(run_id),
      take: async (seen, by) => (await opened()).outbox.take(seen, by),
      settle: (guard, next, event) => write(({ outbox }) => outbox.settle(guard, next, event)),
      retry: async (run_ids, now) => (await opened()).outbox.retry(run_ids, now),
      standing: async () => (await opened()).outbox.standing(),
    },
    history: {
      search: async (query, scope) => (await opened()).history.search(query, scope),
      summarize: async (query, scope) => (await opened()).history.summarize(query, scope),
      trace: async (query, scope) => (await opened()).history.trace(query, scope),
      around: async (query, scope) => (await opened()).history.around(query, scope),
      extent: async (scope) => (await opened()).history.extent(scope),
      missing: async (wanted, scope) => (await opened()).history.missing(wanted, scope),
      names: async (column, limit, scope) => (await opened()).history.names(column, limit, scope),
      retriggersOf: async (run_id, limit, scope) =>
        (await opened()).history.retriggersOf(run_id, limit, scope),
      ids: async (prefix, limit, scope) => (await opened()).history.ids(prefix, limit, scope),
    },
    trail: {
      append: async (event) => (await opened()).trail.append(event),
      search: async (query) => (await opened()).trail.search(query),
      names: async (column, limit) => (await opened()).trail.names(column, limit),
    },
    mirror: {
      storePage: (page) => write(({ mirror }) => mirror.storePage(page)),
      heardOf: async (ids) => (await opened()).mirror.heardOf(ids),
      current: async (source, endpoint, ids) => (await opened()).mirror.current(source, endpoint, ids),
      between: async (place, span) => (await opened()).mirror.between(place, span),
      failed: async (source, endpoint, problem) => (await opened()).mirror.failed(source, endpoint, problem),
      standing: async (source, endpoint) => (await opened()).mirror.standing(source, endpoint),
      standings: async () => (await opened()).mirror.standings(),
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
    house: {
      add: (event) => write(({ house }) => house.add(event)),
      list: async () => (await opened()).house.list(),
    },
    webhooks: {
      take: async (webhook, lease_ms) => (await opened()).webhooks.take(webhook, lease_ms),
      settle: async (webhook, fence, next) => (await opened()).webhooks.settle(webhook, fence, next),
      after: async (seq, limit) => (await opened()).webhooks.after(seq, limit),
    },
    exchange: {
      enter: async (runner) => (await opened()).exchange.enter(runner),
      touch: async (name, key) => (await opened()).exchange.touch(name, key),
      leave: async (name, key, how) => (await opened()).exchange.leave(name, key, how),
      runners: async () => (await opened()).exchange.runners(),
      put: async (call) => (await opened()).exchange.put(call),
      take: async (runner, taker) => (await opened()).exchange.take(runner, taker),
      giveBack: async (taker) => (await opened()).exchange.giveBack(taker),
      find: async (id) => (await opened()).exchange.find(id),
      launched: async (id, run_id) => (await opened()).exchange.launched(id, run_id),
      answer: async (id, runner, answer) => (await opened()).exchange.answer(id, runner, answer),
      remove: async (id) => (await opened()).exchange.remove(id),
      async changed(max_ms, signal) {
        const parts = await opened().catch(() => null);
        await (parts?.exchange.changed(max_ms, signal) ?? pause(Math.min(max_ms, OUT_OF_REACH_MS), signal));
      },
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
    prepare: async () => void (await Promise.all([import('./open.ts'), loadDriver()])),
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
