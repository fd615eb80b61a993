import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { pairs, percentile, row } from './stats.mjs';
import { appendParts } from './world.mjs';

const PAIRS = 300;

/** What an intent costs in each database against a bare durable insert of as many bytes. */
export async function append(world) {
  const parts = await appendParts(world);
  return [...(await onSqlite(world, parts)), ...(await onPostgres(parts))];
}

async function onSqlite({ home, folder }, { openSqlite, storeIntent }) {
  const records = openSqlite(home);
  const bare = new Sqlite(join(folder, 'bare.db'));
  bare.pragma('journal_mode = WAL');
  bare.pragma('synchronous = FULL');
  bare.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, bytes BLOB)');
  const insert = bare.prepare('INSERT INTO t (bytes) VALUES (?)');
  await storeIntent(records, 0);
  const bytes = bytesOfIntent(new Sqlite(join(home, 'ledger.db')));
  let n = 1;
  const times = await pairs(
    PAIRS,
    () => storeIntent(records, n++),
    () => insert.run(bytes),
  );
  await records.close();
  bare.close();
  return rowsOf('SQLite', times);
}

async function onPostgres({ ownPostgres, openPostgres, storeIntent, programs }) {
  if (!programs) return [row('append to PostgreSQL', { detail: 'no PostgreSQL here', value: 0, bar: null })];
  const server = await ownPostgres();
  const place = await server.place();
  const records = openPostgres(place.url);
  const bare = new pg.Client(place.url);
  await bare.connect();
  await bare.query('CREATE TABLE bare (id bigserial PRIMARY KEY, bytes bytea)');
  await storeIntent(records, 0);
  const bytes = Buffer.alloc(INTENT_BYTES, 'x');
  let n = 1;
  const insert = { name: 'insert', text: 'INSERT INTO bare (bytes) VALUES ($1)', values: [bytes] };
  const times = await pairs(
    PAIRS,
    () => storeIntent(records, n++),
    () => bare.query(insert),
  );
  await bare.end();
  await records.close();
  await server.stop();
  return rowsOf('PostgreSQL', times);
}

/** Event, private values and record of one intent. */
const INTENT_BYTES = 4_000;

function bytesOfIntent(db) {
  const size = db
    .prepare(
      `SELECT (SELECT sum(length(facts) + length(commitments) + 200) FROM events)
    + (SELECT sum(length(value) + length(name) + 24) FROM event_private) + (SELECT sum(length(record)) FROM runs)`,
    )
    .pluck()
    .get();
  db.close();
  return Buffer.alloc(size, 'x');
}

function rowsOf(database, { left, right }) {
  return [50, 99].map((p) => {
    const [ours, theirs] = [percentile(left, p), percentile(right, p)];
    const detail = `${ours.toFixed(2)} ms, bare insert ${theirs.toFixed(2)} ms (${left.length} pairs)`;
    return row(`append to ${database}, p${p}`, { detail, value: ours / theirs, bar: null });
  });
}
