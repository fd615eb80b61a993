import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import Database from 'better-sqlite3';
import Docker from 'dockerode';
import { sha256 } from '../../src/shared/json.ts';
import { tempFolder } from './mcp.ts';

// What a server leaves on this machine, seen from outside and never through the server itself.

const LOOK_MS = 10;

/** Repeats a look until it answers something true; fails after `within_ms`, naming what was waited for. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  within_ms = 30_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + within_ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`not within ${within_ms} ms: ${what}`);
    await pause(LOOK_MS);
  }
}

/** Rows of the ledger file; empty as long as there is no such file or table. */
export function rows(home: string, sql: string): Record<string, any>[] {
  const file = join(home, 'ledger.db');
  if (!existsSync(file)) return [];
  // Not read-only: what a killed process left in the middle of making the file is rolled back by who opens it.
  const db = new Database(file, { fileMustExist: true });
  try {
    return db.prepare(sql).all() as Record<string, any>[];
  } catch (error) {
    if ((error as Error).message.startsWith('no such table')) return [];
    throw error;
  } finally {
    db.close();
  }
}

export interface Traces {
  containers: string[];
  leases: string[];
  runFolders: string[];
  /** Command lines of living processes that were started with this home. */
  processes: string[];
}

export const NOTHING: Traces = { containers: [], leases: [], runFolders: [], processes: [] };

/** Everything that may be left of runs; `except` names the processes that are meant to live. */
export async function traces(home: string, except: readonly number[] = []): Promise<Traces> {
  const containers = await docker.listContainers({ all: true, filters: { label: [ledgerLabel(home)] } });
  return {
    containers: containers.map(({ Names, State }) => `${Names[0]} ${State}`),
    leases: rows(home, 'SELECT run_id, phase FROM leases').map((row) => `${row['run_id']} ${row['phase']}`),
    runFolders: await readdir(join(home, 'run')).catch(() => []),
    processes: await processesOf(home, except),
  };
}

/** Resolves when nothing is left; otherwise answers what still was there, for the test to show. */
export async function settledTraces(
  home: string,
  except: readonly number[] = [],
  within_ms = 20_000,
): Promise<Traces> {
  const isEmpty = (seen: Traces): boolean => Object.values(seen).every((list: string[]) => list.length === 0);
  const deadline = Date.now() + within_ms;
  for (;;) {
    const seen = await traces(home, except);
    if (isEmpty(seen) || Date.now() > deadline) return seen;
    await pause(5 * LOOK_MS);
  }
}

/** Folders of servers' data; `removeAll` ends what a failed test left running on the engine, too. */
export function createHomes(): { make(name: string): Promise<string>; removeAll(): Promise<void> } {
  const made: { path: string; remove: () => Promise<void> }[] = [];
  return {
    async make(name) {
      const folder = await tempFolder(name);
      made.push(folder);
      return folder.path;
    },
    async removeAll() {
      for (const { path, remove } of made) {
        const left = await docker.listContainers({ all: true, filters: { label: [ledgerLabel(path)] } });
        await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
        await remove();
      }
    },
  };
}

const docker = new Docker();

function ledgerLabel(home: string): string {
  return `polycrate-mcp.ledger=${sha256(home).slice(0, 12)}`;
}

export interface EngineEvent {
  action: string;
  attributes: Readonly<Record<string, string>>;
}

/** The engine's own account of what happens to the containers of a ledger. */
export interface EngineEvents {
  /** Resolves when that has happened, also if it happened before. */
  seen(action: string): Promise<void>;
  /** How often it happened so far. */
  count(action: string): number;
  /** All of it, in order, with the labels of the container. */
  told: readonly EngineEvent[];
  close(): void;
}

export async function watchEngine(home: string): Promise<EngineEvents> {
  const filters = { type: ['container' as const], label: [ledgerLabel(home)] };
  const stream = (await docker.getEvents({ filters })) as unknown as Readable;
  const told: EngineEvent[] = [];
  let waiting: { action: string; resolve: () => void }[] = [];
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter(Boolean)) {
      const { Action: action, Actor } = JSON.parse(line);
      told.push({ action, attributes: Actor.Attributes });
      for (const waiter of waiting) if (waiter.action === action) waiter.resolve();
      waiting = waiting.filter((waiter) => waiter.action !== action);
    }
  });
  stream.on('error', () => undefined);
  const count = (action: string): number => told.filter((event) => event.action === action).length;
  return {
    told,
    count,
    seen: (action) =>
      new Promise((resolve) => {
        if (count(action) > 0) resolve();
        else waiting.push({ action, resolve });
      }),
    close: () => stream.destroy(),
  };
}

/** Command lines, with their pids, of living processes that were started with this home. */
export async function processesOf(home: string, except: readonly number[] = []): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(
    (name) => /^\d+$/.test(name) && !except.includes(Number(name)),
  );
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string): Promise<string> =>
        readFile(join('/proc', pid, file), 'utf8').catch(() => '');
      if (!(await read('environ')).split('\0').includes(`POLYCRATE_MCP_HOME=${home}`)) return [];
      return [`${pid} ${(await read('cmdline')).split('\0').join(' ')}`];
    }),
  );
  return found.flat();
}

/** Ends a process as the kernel does it out of memory: no warning, no clean-up. Waits until it is gone. */
export async function kill9(
  { client, pid }: { client: { onclose?: (() => void) | undefined }; pid: number },
  whole?: 'group',
): Promise<void> {
  const closed = new Promise<void>((resolve) => (client.onclose = resolve));
  process.kill(whole === 'group' ? -pid : pid, 'SIGKILL');
  await closed;
}
