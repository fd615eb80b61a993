import { setTimeout as pause } from 'node:timers/promises';
import type { Client, ClientConfig, Pool, QueryResultRow, types } from 'pg';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/ports.ts';
import { loadDriver } from './driver.ts';
import { isPassing, locationOf, unavailable } from './failures.ts';

/** Runs one statement, with `$1` … for the values. */
export type Query = <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

export interface Database {
  /** Where it is, without user and password. */
  location: string;
  /** For statements that may be repeated: tries again on new connections while it is lost. `ledger_unavailable`. */
  read: Query;
  /** Several statements that see the ledger as of one moment, on the connections of questions; all of it may be repeated. */
  snapshot<T>(use: (query: Query) => Promise<T>): Promise<T>;
  /** Like `read`, on connections that questions do not use up. */
  write: Query;
  /** One connection and one attempt, for several statements in a row. Throws the driver's own errors. */
  alone<T>(use: (query: Query) => Promise<T>): Promise<T>;
  /** A connection that stays, outside of the pools; unconnected. */
  client(): Client;
  close(): Promise<void>;
}

/** Small pools: writers wait for each other in the database anyhow. */
const READERS = 3;
const WRITERS = 3;
/** A question or an append that takes longer has failed; the driver gives up a little later than the server. */
const STATEMENT_MS = 15_000;
const LOCK_MS = 10_000;
const CONNECT_MS = 5_000;
/** How long a lost connection is worth new attempts, and the pauses between them. */
const PATIENCE_MS = 12_000;
const PAUSES_MS = [50, 100, 200, 400, 800, 1_600];

// The chain's order rests on READ COMMITTED; what was acknowledged must be on disk, whatever the role's defaults say.
const SESSION = `SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
  set_config('idle_in_transaction_session_timeout', $1, false),
  set_config('default_transaction_isolation', 'read committed', false), set_config('jit', 'off', false),
  set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
    ELSE current_setting('synchronous_commit') END, false)`;

export interface DatabaseOptions {
  url: string;
  log: Log;
  patience_ms?: number;
}

/** Loads the driver; connects when first used. */
export async function createDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, log, patience_ms = PATIENCE_MS } = options;
  const driver = await loadDriver();
  const location = locationOf(url);
  const config: ClientConfig = {
    connectionString: url,
    fallback_application_name: 'polycrate-mcp',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: STATEMENT_MS + 5_000,
    keepAlive: true,
    types: { getTypeParser: numbersOf(driver.types) },
  };
  const pool = (max: number): Pool => {
    const made = new driver.Pool({ ...config, max, allowExitOnIdle: true, onConnect: (client) => prepare(client) as unknown as void });
    // An idle connection that breaks is replaced by the next call.
    made.on('error', (error) => log('debug', 'a connection to the ledger broke', { error: messageOf(error) }));
    return made;
  };
  const [readers, writers] = [pool(READERS), pool(WRITERS)];
  const patience = { location, patience_ms };
  const one = (pool: Pool): Query => (text, values) => patient(patience, async () => (await pool.query(text, values as unknown[])).rows as never);
  return {
    location,
    read: one(readers),
    write: one(writers),
    snapshot: (use) => patient(patience, () => inSnapshot(readers, use)),
    async alone(use) {
      const client = new driver.Client({ ...config, query_timeout: 0 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await prepare(client);
        return await use(async (text, values) => (await client.query(text, values as unknown[])).rows as never);
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    client: () => new driver.Client(config),
    async close() {
      await Promise.all([readers.end(), writers.end()]);
    },
  };
} // prettier-ignore

async function prepare(client: Pick<Client, 'query'>): Promise<void> {
  await client.query(SESSION, [`${STATEMENT_MS}`, `${LOCK_MS}`]);
}

/** All our 64-bit numbers are below 2^53; the driver would hand them out as text. */
function numbersOf(parsers: typeof types): typeof types.getTypeParser {
  const INT8 = 20;
  const parserOf = (oid: number, format: never): unknown => (oid === INT8 ? Number : parsers.getTypeParser(oid, format));
  return parserOf as typeof types.getTypeParser;
} // prettier-ignore

/** Connections break: what may be repeated is tried again for a while. */
async function patient<T>(
  { location, patience_ms }: { location: string; patience_ms: number },
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + patience_ms;
  for (let attempts = 0; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      const wait = PAUSES_MS[Math.min(attempts, PAUSES_MS.length - 1)]!;
      if (!isPassing(error) || performance.now() + wait > deadline) throw unavailable(error, location);
      await pause(wait);
    }
  }
}

async function inSnapshot<T>(pool: Pool, use: (query: Query) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  // Between two statements nobody else hears that the connection broke, and unheard that would end the process.
  const ignored = (): void => undefined;
  client.on('error', ignored);
  let broken = true;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const result = await use(
      async (text, values) => (await client.query(text, values as unknown[])).rows as never,
    );
    await client.query('COMMIT');
    broken = false;
    return result;
  } finally {
    // One that failed in between is not worth mending.
    client.release(broken);
    client.off('error', ignored);
  }
}
