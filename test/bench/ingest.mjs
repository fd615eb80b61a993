import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { Agent, request } from 'undici';
import { listening } from './http.mjs';
import { row, timed } from './stats.mjs';
import { appendParts, MAIN } from './world.mjs';

const PAIRS = 2_000;
const ROUNDS = 4;
const AT_ONCE = 128;

/** Reports of starts and ends, as many as a fleet of CLIs sends at once, against bare durable inserts of as many bytes. */
export async function ingest(world, { pairs = PAIRS } = {}) {
  const parts = await appendParts(world);
  return [...(await onSqlite(world, pairs)), ...(await onPostgres(world, pairs, parts))];
}

async function onSqlite({ env, home, folder }, pairs) {
  const server = await serve(env);
  const bare = new Sqlite(join(folder, 'bare.db'));
  bare.pragma('journal_mode = WAL');
  bare.pragma('synchronous = FULL');
  bare.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)');
  const insert = bare.prepare('INSERT INTO t (bytes) VALUES (?)');
  const bytesOf = () => {
    const db = new Sqlite(join(home, 'ledger.db'), { readonly: true });
    const size = db.prepare(`${BYTES} FROM mirrored`).pluck().get();
    db.close();
    return size;
  };
  try {
    return [
      await measure('SQLite', pairs, {
        server,
        bytesOf: async () => bytesOf(),
        insert: async (bytes) => void insert.run(bytes),
      }),
    ];
  } finally {
    bare.close();
    await server.end();
  }
}

async function onPostgres({ env, folder }, pairs, { ownPostgres, programs }) {
  if (!programs) return [row('ingest on PostgreSQL', { detail: 'no PostgreSQL here', value: 0, bar: null })];
  const postgres = await ownPostgres();
  const place = await postgres.place();
  const server = await serve({
    ...env,
    POLYCRATE_MCP_HOME: join(folder, 'postgres'),
    POLYCRATE_MCP_DATABASE_URL: place.url,
  });
  const pool = new pg.Pool({ connectionString: place.url, max: 10 });
  await pool.query('CREATE TABLE bare (id bigserial PRIMARY KEY, bytes bytea)');
  const text = 'INSERT INTO bare (bytes) VALUES ($1)';
  try {
    return [
      await measure('PostgreSQL', pairs, {
        server,
        bytesOf: async () => Number((await pool.query(`${BYTES} AS size FROM mirrored`)).rows[0].size),
        insert: (bytes) => pool.query({ name: 'insert', text, values: [bytes] }),
      }),
    ];
  } finally {
    await pool.end();
    await server.end();
    await postgres.stop();
  }
}

/** What one row of a report takes; its record is as long again. */
const BYTES = 'SELECT 2 * avg(length(facts) + length(commitments) + length(private) + 200)';

async function measure(database, count, { server, bytesOf, insert }) {
  const agent = new Agent({ connections: AT_ONCE, pipelining: 1 });
  let n = 0;
  await many(count / 10, () => pair(agent, server.url, n++));
  const bytes = Buffer.alloc(Math.round(await bytesOf()), 'x');
  const both = async () => {
    await insert(bytes);
    await insert(bytes);
  };
  let [ours, theirs] = [0, 0];
  for (let round = 0; round < ROUNDS; round += 1) {
    ours += await timed(() => many(count, () => pair(agent, server.url, n++)));
    theirs += await timed(() => many(count, both));
  }
  await agent.close();
  const rate = (ms) => Math.round((ROUNDS * count * 1_000) / ms);
  const detail = `${rate(ours)} pairs/s over HTTP, ${rate(theirs)} pairs/s of bare inserts (${bytes.length} bytes), ${AT_ONCE} at once`;
  return row(`ingest, start and finish, ${database}`, { detail, value: ours / theirs, bar: null });
}

async function many(count, work) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function pair(dispatcher, url, n) {
  const place = { organization: 'bench', workspace: `team-${n % 20}`, block: `block-${n}`, action: 'deploy' };
  const at = (ms) => new Date(Date.now() + ms).toISOString();
  const { action_run_id: id } = await send(dispatcher, new URL('/api/v1/cli/action-runs/start/', url), {
    ...place,
    block_version: '1.4.3',
    started_at: at(-5_000),
  });
  await send(dispatcher, new URL(`/api/v1/cli/action-runs/${id}/finish/`, url), {
    exit_code: n % 7 ? 0 : 2,
    finished_at: at(0),
    metadata: { hostname: `laptop-${n % 50}`, user: `user-${n % 50}`, version: '0.37.1' },
  });
}

async function send(dispatcher, url, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await request(url, { method: 'POST', headers, body: JSON.stringify(body), dispatcher });
  const told = await answer.body.json();
  if (answer.statusCode >= 300) throw new Error(`${answer.statusCode} ${JSON.stringify(told)}`);
  return told;
}

function serve(env) {
  const settings = { ...env, POLYCRATE_MCP_RATE_LIMIT: 'none', POLYCRATE_MCP_LOG_LEVEL: 'error' };
  return listening(
    [MAIN, 'serve', '--with-runner', '--port', '0', '--no-auth'],
    settings,
    'stderr',
    /serving MCP at ([^\s,]+)/,
  );
}
