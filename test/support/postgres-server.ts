import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** One empty ledger: a schema of its own in the server's database. */
export interface Place {
  url: string;
  schema: string;
  remove(): Promise<void>;
}

export interface PostgresServer {
  place(): Promise<Place>;
  /** The same place by another way or as another role. */
  through(place: Place, way: { port?: number; user?: string; password?: string }): string;
  query(sql: string, values?: unknown[]): Promise<any[]>;
  stop(): Promise<void>;
}

export interface OwnPostgresServer extends PostgresServer {
  socket: string;
  /** Without any shutdown, as after a crash; what it had acknowledged is on its disk. */
  crash(): Promise<void>;
  start(): Promise<void>;
}

/** Newest first; Debian keeps the programs of the server out of PATH. */
function findPrograms(): string | null {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null;
} // prettier-ignore

/** Null: no PostgreSQL server is installed. */
export const programs = findPrograms();

interface Making {
  /** Where its data lie, or stay from an earlier time; without it a fresh folder, which goes with the server. */
  folder?: string;
  memory?: string;
}

/** A server that is reachable by its socket only; it ends with the test process, however that ends. */
export async function ownPostgres({ folder: kept, memory = '16MB' }: Making = {}): Promise<OwnPostgresServer> {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'pmcp-pg-'));
  mkdirSync(folder, { recursive: true });
  const account = accountOf();
  if (account) chownSync(folder, account.uid, account.gid);
  const data = join(folder, 'data');
  const there = existsSync(data);
  const options = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync', '--no-instructions'];
  if (!there) {
    const made = spawnSync(join(programs!, 'initdb'), options, { ...account, cwd: '/', encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  }
  let running: ChildProcess;
  const url = `postgres:///postgres?${new URLSearchParams({ host: folder, user: 'postgres' })}`;
  const start = async (): Promise<void> => {
    running = launch(join(programs!, 'postgres'), ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', `shared_buffers=${memory}`, '-c', 'fsync=on'], account);
    await answers(url, running);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const exited = once(running, 'exit');
    running.kill(signal);
    await exited;
  };
  await start();
  const server = serverAt(url, async () => {
    await end('SIGINT');
    if (kept === undefined) await rm(folder, { recursive: true, force: true });
  });
  return { ...server, socket: join(folder, '.s.PGSQL.5432'), start, crash: () => end('SIGQUIT') };
} // prettier-ignore

/** The server refuses to run as root. */
function accountOf(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const ids = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout));
  return { uid: ids[0]!, gid: ids[1]! };
} // prettier-ignore

function launch(program: string, args: string[], account: { uid: number; gid: number } | null): ChildProcess {
  const rights = account ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'] : [];
  const stdio = ['ignore', 'ignore', 'ignore'] as const;
  // SIGQUIT when we are gone: no server outlives its test.
  return spawn('setpriv', [...rights, '--pdeathsig=QUIT', program, ...args], { cwd: '/', stdio: [...stdio] });
}

async function answers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const client = new pg.Client(url);
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) throw error;
      await pause(30);
    }
  }
}

export function serverAt(base: string, stop: () => Promise<void>): PostgresServer {
  const pool = new pg.Pool({ connectionString: base, max: 2 });
  pool.on('error', () => undefined);
  const query: PostgresServer['query'] = async (sql, values) => (await pool.query(sql, values)).rows;
  return {
    query,
    async place() {
      const schema = `ledger_${randomBytes(6).toString('hex')}`;
      await query(`CREATE SCHEMA ${schema}`);
      const url = new URL(base);
      url.searchParams.set('options', `-csearch_path=${schema}`);
      const remove = async (): Promise<void> => void (await query(`DROP SCHEMA ${schema} CASCADE`));
      return { url: url.href, schema, remove };
    },
    through(place, { port, user, password }) {
      const url = new URL(place.url);
      if (user) url.searchParams.set('user', user);
      if (password) url.searchParams.set('password', password);
      if (port === undefined) return url.href;
      url.searchParams.delete('host');
      return url.href.replace('postgres:///', `postgres://127.0.0.1:${port}/`);
    },
    async stop() {
      await pool.end();
      await stop();
    },
  };
}
