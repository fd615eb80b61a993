import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import type { Records } from '../../history/records.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { restore, type LedgerState, type Restored } from './backup.ts';
import { createMemory } from './memory.ts';
import { LEDGER_FILE } from './open.ts';
import { verifySideBySide, verifyThreads } from './parallel-check.ts';
import { createRpc } from './rpc.ts';
import type { SyncPage } from './search.ts';

/**
 * The ledger on SQLite at `home/ledger.db`. Two threads, so that a long question delays no record: one writes,
 * one reads; each opens the file when first called. Verification and upkeep have threads of their own. `worker` is the built `ledger-worker.js`.
 */
export function createSqliteLedger({ home, worker }: { home: string; worker: URL }): Records {
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const writer = createRpc(worker, home, changed);
  const reader = createRpc(worker, home, changed);
  const checkers = Array.from({ length: verifyThreads() }, () => createRpc(worker, home, changed));
  const memory = createMemory(home);
  const recall = <T>(method: string, ...args: unknown[]): Promise<T> =>
    memory.recall(JSON.stringify([method, ...args]), () => reader.call<T>(method, ...args));
  const write = async <T>(method: string, ...args: unknown[]): Promise<T> => {
    const value = await writer.call<T>(method, ...args);
    changed();
    return value;
  };
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
      append: (event, guard, lease) => write('append', event, guard, lease),
      replay: (key, now) => reader.call('replay', key, now),
      find: (id) => reader.call('find', id),
      status: () => recall('status'),
      key: () => (key ??= askForKey()),
      proof: (run_id) => reader.call('proof', run_id),
    },
    leases: {
      list: () => reader.call('leaseList'),
      renew: (owner, expires_at) => writer.call('leaseRenew', owner, expires_at),
      take: (seen, owner, expires_at) => write('leaseTake', seen, owner, expires_at),
      give: (guard, how) => write('leaseGive', guard, how),
    },
    untold: {
      find: (call, since) => reader.call('untoldFind', call, since),
      pass: (seen, to) => writer.call('untoldPass', seen, to),
      told: (run_id) => writer.call('untoldTold', run_id),
    },
    history: {
      search: (query) =>
        memory.recall(JSON.stringify(query), async () => {
          const { records, ...page } = await reader.call<SyncPage>('search', query);
          return { ...page, runs: records.map((record) => JSON.parse(record) as ActionRun) };
        }),
      missing: (wanted) => recall('missing', wanted),
      names: (column, limit) => reader.call('names', column, limit),
      retriggersOf: (run_id, limit) => reader.call('retriggersOf', run_id, limit),
      ids: (prefix, limit) => reader.call('ids', prefix, limit),
    },
    trail: {
      // No run changed, so nobody who waits for one is woken.
      append: (event) => writer.call('recordCalls', event),
      search: (query) => reader.call('searchCalls', query),
      names: (column, limit) => reader.call('callNames', column, limit),
    },
    watch: {
      async changed(max_ms, signal) {
        const watching = reader.call('watch', 1);
        const seen = wakened(listeners, max_ms, signal);
        // What this process writes needs no watcher: nobody waits for one that is not there yet.
        await Promise.race([seen, watching.then(() => seen)]);
        void watching.then(() => reader.call('watch', -1)).catch(() => undefined);
      },
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
    async close() {
      memory.close();
      await Promise.all([writer.close(), reader.close(), ...checkers.map((checker) => checker.close())]);
    },
  };
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

/** Resolves with the next change, after `max_ms`, or when the signal says so. */
function wakened(listeners: Set<() => void>, max_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      listeners.delete(done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, max_ms);
    listeners.add(done);
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted) done();
  });
}

/** Opening would create an empty ledger, which would then be found to be in order. */
function refuseAbsent(home: string): void {
  if (existsSync(join(home, LEDGER_FILE))) return;
  throw new AppError('ledger_unavailable', `there is no ledger in ${home}`, {
    next: 'name its folder with POLYCRATE_MCP_HOME or --home',
  });
}
