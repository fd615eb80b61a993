import type { Mirror, SeenStanding, SyncStanding } from '../ledger/mirror.ts';
import { messageOf } from '../shared/errors.ts';
import type { Clock, Log } from '../shared/ports.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import { importLogs, type ImportOptions, type LogsImported, type LogsImportPorts } from './import-logs.ts';

/** Runs that others executed, as fresh as a question may wait for. */
export interface ForeignSources {
  /** Before an answer from history: begins to look for news if it is time, and waits for them, but not for long. */
  refresh(): Promise<void>;
  standings(): Promise<SeenStanding[]>;
  /** At once and whole, whatever its age. */
  importLogs(workspace: Workspace, options?: ImportOptions): Promise<LogsImported>;
  /** Looks for no more; what is going on ends at the next file. */
  close(): Promise<void>;
}

/** One more place with runs of others. */
export interface ForeignPlace {
  refresh(): Promise<void>;
  standings(all: readonly SyncStanding[]): Promise<SyncStanding[]>;
}

/** How old history from elsewhere may be, and how long a question waits for newer. */
const FRESH_MS = 60_000;
const WAIT_MS = 2_000;

interface SourceParts {
  ports: LogsImportPorts & { clock: Clock; mirror: Mirror };
  workspaces(): Promise<readonly Workspace[]>;
  /** False: logs of the CLI are not looked at. */
  logs: boolean;
  /** The Polycrate APIs. */
  api: ForeignPlace;
  log: Log;
}

export function createForeignSources({ ports, workspaces, logs, api, log }: SourceParts): ForeignSources {
  const stopped = new AbortController();
  let last = -Infinity;
  let going: Promise<void> | null = null;

  const importAll = async (): Promise<void> => {
    for (const workspace of await workspaces()) {
      if (stopped.signal.aborted) return;
      await importLogs(ports, workspace, { signal: stopped.signal }).catch(async (error: unknown) => {
        const says = messageOf(error);
        log('warn', 'logs of the CLI could not be imported', { workspace: workspace.path, error: says });
        await ports.mirror.failed('logs', addressOf(workspace), { at: ports.clock.now(), says });
      });
    }
    last = ports.clock.now();
  };

  const refreshLogs = async (): Promise<void> => {
    if (!logs || stopped.signal.aborted) return;
    if (!going && ports.clock.now() - last < FRESH_MS) return;
    going ??= importAll()
      .catch((error: unknown) => log('warn', 'logs of the CLI could not be imported', { error: messageOf(error) }))
      .finally(() => (going = null));
    const waited = new AbortController();
    await Promise.race([going, ports.clock.sleep(WAIT_MS, waited.signal)]).finally(() => waited.abort());
  };
  const refreshApi = (): Promise<void> =>
    api.refresh().catch((error: unknown) => log('warn', 'news of Polycrate APIs could not be looked for', { error: messageOf(error) }));

  return {
    refresh: async () => void (await Promise.all([refreshLogs(), refreshApi()])),
    standings: async () => api.standings(await ports.mirror.standings()),
    importLogs: (workspace, options) => importLogs(ports, workspace, options),
    async close() {
      stopped.abort();
      await going;
    },
  };
} // prettier-ignore
