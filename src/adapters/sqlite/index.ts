import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { createWaiters } from '../../shared/waiters.ts';
import type { Records } from '../../history/records.ts';
import type { SyncStanding } from '../../ledger/mirror.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { keyFor } from '../../runs/ledger-key.ts';
import { restore, type LedgerState, type Restored } from './backup.ts';
import { createLocalExchange } from './exchange.ts';
import { createMemory } from './memory.ts';
import { LEDGER_FILE } from './open.ts';
import { verifySideBySide, verifyThreads } from './parallel-check.ts';
import { createRpc, type Rpc } from './rpc.ts';
import type { FoundPage } from '../sql/search.ts';

/**
 * The ledger on SQLite at `home/ledger.db`. Threads of their own, so that a long question delays no record: one writes,
 * one reads, two search and count; each opens the file when first called. Verification and upkeep have threads of their own. `worker` is the built `ledger-worker.js`.
 */
export function createSqliteLedger({ home, worker }: { home: string; worker: URL }): Records {
  const waiters = createWaiters();
  const changed = waiters.wake;
  const writer = createRpc(worker, home, changed);
  const reader = createRpc(worker, home, changed);
  // Questions that may take long, two at a time, so that they delay neither a record nor the look at one.
  const askers = Array.from({ length: 2 }, () => createRpc(worker, home, changed));
  const ask = <T>(method: string, ...args: unknown[]): Promise<T> => idlest(askers).call<T>(method, ...args);
  const checkers = Array.from({ length: verifyThreads() }, () => createRpc(worker, home, changed));
  const memory = createMemory(home);
  const recall = <T>(method: string, ...args: unknown[]): Promise<T> =>
    memory.recall(JSON.stringify([method, ...args]), () => reader.call<T>(method, ...args));
  const write = async <T>(method: string, ...args: unknown[]): Promise<T> => {
    const value = await writer.call<T>(method, ...args);
    changed();
    return value;
  };
  const standings = (): Promise<SyncStanding[]> => recall('syncStandings');
  // The same for the whole life of a ledger; asked for again only if it could not be read.
  let key: Promise<Uint8Array> | null = null;
  const askForKey = (): Promise<Uint8Array> => {
    const asked = reader.call<Uint8Array>('key');
    asked.catch(() => (key = null));
    return asked;
  };

  return {
    ledger: {
      request: (intent) => write('request', intent),
      append: (event, guard, lease, write_id) => write('append', event, guard, lease, write_id),
      withdraw: (write_id) => write('withdraw', write_id),
      answer: (answer) => write('answer', answer),
      replay: (key, now) => reader.call('replay', key, now),
      find: (id) => reader.call('find', id),
      status: () => recall('status'),
      key: async (use) => keyFor(use ?? null, await (key ??= askForKey())),
      proof: (run_id) => reader.call('proof', run_id),
    },
    leases: {
      // One file, one host, one clock.
      now: async () => Date.now(),
      list: () => reader.call('leaseList'),
      renew: (owner, expires_at) => writer.call('leaseRenew', owner, expires_at),
      take: (seen, owner, expires_at, write_id) => write('leaseTake', seen, owner, expires_at, write_id),
      promote: (guard, to) => write('promote', guard, to),
      give: (guard, how) => write('leaseGive', guard, how),
    },
    untold: {
      find: (call, since) => reader.call('untoldFind', call, since),
      pass: (seen, to) => writer.call('untoldPass', seen, to),
      told: (run_id) => writer.call('untoldTold', run_id),
    },
    outbox: {
      due: (now, limit, endpoints) => reader.call('outboxDue', now, limit, endpoints),
      list: (limit) => reader.call('outboxList', limit),
      find: (run_id) => reader.call('outboxFind', run_id),
      take: (seen, by) => writer.call('outboxTake', seen, by),
      settle: (guard, next, event) => write('outboxSettle', guard, next, event),
      retry: (run_ids, now) => writer.call('outboxRetry', run_ids, now),
      standing: () => reader.call('outboxStanding'),
    },
    history: {
      search: (query, scope = null) =>
        memory.recall(JSON.stringify([query, scope]), async () => {
          const { records, ...page } = await ask<FoundPage>('search', query, scope);
          return { ...page, runs: records.map((record) => JSON.parse(record) as ActionRun) };
        }),
      summarize: (query, scope = null) =>
        memory.recall(JSON.stringify(['summarize', query, scope]), () => ask('summarize', query, scope)),
      trace: (query, scope = null) =>
        memory.recall(JSON.stringify(['trace', query, scope]), () => ask('trace', query, scope)),
      around: (query, scope = null) =>
        memory.recall(JSON.stringify(['around', query, scope]), () => ask('around', query, scope)),
      extent: (scope = null) => (scope ? ask('extent', scope) : recall('extent', scope)),
      missing: (wanted, scope = null) =>
        scope ? ask('missing', wanted, scope) : recall('missing', wanted, scope),
      names: (column, limit, scope = null) =>
        memory.recall(JSON.stringify(['names', column, limit, scope]), () =>
          ask('names', column, limit, scope),
        ),
      retriggersOf: (run_id, limit, scope = null) => reader.call('retriggersOf', run_id, limit, scope),
      ids: (prefix, limit, scope = null) =>
        scope ? ask('ids', prefix, limit, scope) : reader.call('ids', prefix, limit, scope),
    },
    trail: {
      // No run changed, so nobody who waits for one is woken.
      append: (event) => writer.call('recordCalls', JSON.stringify(event)),
      search: (query) => reader.call('searchCalls', query),
      names: (column, limit) => reader.call('callNames', column, limit),
    },
    watch: {
      async changed(max_ms, signal) {
        const watching = reader.call('watch', 1);
        const seen = waiters.wait(max_ms, signal);
        // What this process writes needs no watcher: nobody waits for one that is not there yet.
        await Promise.race([seen, watching.then(() => seen)]);
        void watching.then(() => reader.call('watch', -1)).catch(() => undefined);
      },
    },
    mirror: {
      storePage: (page) => write('storePage', page),
      heardOf: (ids) => reader.call('heardOf', ids),
      current: (source, endpoint, ids) => reader.call('currentRows', source, endpoint, ids),
      between: (place, span) => reader.call('rowsBetween', place, span),
      failed: (source, endpoint, problem) => writer.call('syncFailed', source, endpoint, problem),
      standings,
      standing: async (source, endpoint) =>
        (await standings()).find((sync) => sync.source === source && sync.endpoint === endpoint) ?? null,
    },
    check: {
      async verify(task, onProgress = () => undefined) {
        const sound = task.from ? null : await verifySideBySide(checkers, task, onProgress);
        return sound ?? (await checkers[0]!.follow('verify', [task], onProgress));
      },
      async id() {
        refuseAbsent(home);
        return await reader.call('ledgerId');
      },
      notes: () => reader.call('notes'),
      note: (notes) => write('note', notes),
      claim: (span) => writer.call('claim', span),
    },
    archive: {
      hashes: (after, limit) => reader.call('archiveHashes', after, limit),
      events: (run_ids) => reader.call('archiveEvents', run_ids),
      absent: (run_ids) => reader.call('archiveAbsent', run_ids),
      import: (batch) => write('archiveImport', batch),
    },
    house: {
      add: (event) => write('houseAdd', event),
      list: () => recall('houseList'),
    },
    webhooks: {
      take: (webhook, lease_ms) => writer.call('webhookTake', webhook, lease_ms),
      settle: (webhook, fence, next) => writer.call('webhookSettle', webhook, fence, next),
      after: (seq, limit) => reader.call('webhookAfter', seq, limit),
    },
    exchange: createLocalExchange(),
    upkeep: {
      isErased: (name) => reader.call('isErased', name),
      survey: (request, onProgress = () => undefined) => checkers[0]!.follow('survey', [request], onProgress),
      erase: (request, onProgress = () => undefined) => checkers[0]!.follow('erase', [request], onProgress),
      planPrune: (before, onProgress = () => undefined) =>
        checkers[0]!.follow('planPrune', [before], onProgress),
      prune: (request, onProgress = () => undefined) => checkers[0]!.follow('prune', [request], onProgress),
      pruned: () => reader.call('pruned'),
      clean: (_after, onProgress = () => undefined) => checkers[0]!.follow('clean', [], onProgress),
    },
    async prepare() {
      // A first question waits for all three: its call is stored before its answer.
      for (const thread of [reader, askers[0]!, writer]) thread.start();
    },
    async close() {
      memory.close();
      await Promise.all([writer, reader, ...askers, ...checkers].map((thread) => thread.close()));
    },
  };
}

function idlest(threads: readonly Rpc[]): Rpc {
  return threads.reduce((best, thread) => (thread.waiting() < best.waiting() ? thread : best));
}

/** Copies of a ledger file; opens nothing before it is asked to. */
export function createBackups({ home, worker }: { home: string; worker: URL }): Backups {
  return {
    async backup(file) {
      const copier = createRpc(worker, home, () => undefined);
      return await copier.call<LedgerState>('backup', file).finally(() => copier.close());
    },
    restore: (from, force) => restore(from, { home, force }),
  };
}

export interface Backups {
  backup(file: string): Promise<LedgerState>;
  restore(from: string, force: boolean): Restored;
}

/** Opening would create an empty ledger, which would then be found to be in order. */
function refuseAbsent(home: string): void {
  if (existsSync(join(home, LEDGER_FILE))) return;
  throw new AppError('ledger_unavailable', `there is no ledger in ${home}`, {
    next: 'name its folder with POLYCRATE_MCP_HOME or --home',
  });
}
