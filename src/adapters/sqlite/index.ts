import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import type { Records } from '../../history/records.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { createMemory } from './memory.ts';
import { LEDGER_FILE } from './open.ts';
import { createRpc } from './rpc.ts';
import type { SyncPage } from './search.ts';

/**
 * The ledger on SQLite at `home/ledger.db`. Two threads, so that a long question delays no record: one writes,
 * one reads; each opens the file when first called. A verification has a third one. `worker` is the built `ledger-worker.js`.
 */
export function createSqliteLedger({ home, worker }: { home: string; worker: URL }): Records {
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const writer = createRpc(worker, home, changed);
  const reader = createRpc(worker, home, changed);
  const checker = createRpc(worker, home, changed);
  const memory = createMemory(home);
  const recall = <T>(method: string, ...args: unknown[]): Promise<T> =>
    memory.recall(JSON.stringify([method, ...args]), () => reader.call<T>(method, ...args));
  const write = async <T>(method: string, ...args: unknown[]): Promise<T> => {
    const value = await writer.call<T>(method, ...args);
    changed();
    return value;
  };

  return {
    ledger: {
      request: (intent) => write('request', intent),
      append: (event, guard, lease) => write('append', event, guard, lease),
      replay: (key, now) => reader.call('replay', key, now),
      find: (id) => reader.call('find', id),
      status: () => recall('status'),
      key: () => reader.call('key'),
      proof: (run_id) => reader.call('proof', run_id),
    },
    leases: {
      list: () => reader.call('leaseList'),
      renew: (owner, expires_at) => writer.call('leaseRenew', owner, expires_at),
      take: (seen, owner, expires_at) => write('leaseTake', seen, owner, expires_at),
      give: (guard, how) => write('leaseGive', guard, how),
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
    watch: {
      async changed(max_ms, signal) {
        const seen = new Promise<void>((resolve) => {
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
        await reader.call('watch', 1);
        await seen;
        await reader.call('watch', -1);
      },
    },
    check: {
      verify(task, onProgress = () => undefined) {
        return checker.follow('verify', [task], onProgress);
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
    async close() {
      memory.close();
      await Promise.all([writer.close(), reader.close(), checker.close()]);
    },
  };
}

/** Opening would create an empty ledger, which would then be found to be in order. */
function refuseAbsent(home: string): void {
  if (existsSync(join(home, LEDGER_FILE))) return;
  throw new AppError('ledger_unavailable', `there is no ledger in ${home}`, {
    next: 'name its folder with POLYCRATE_MCP_HOME or --home',
  });
}
