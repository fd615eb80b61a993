// Questions about very many runs: in the store, through stdio, against SQL by hand; memory, appends, growth.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { start } from './client.mjs';
import { CHANGES, COMMON, OTHER, SUMMARIES, TRACES } from './history-shapes.mjs';
import { median, pairs, percentile, row, timed } from './stats.mjs';
import { appendParts, MAIN, makeWorld, manyRunsParts } from './world.mjs';

const ROUNDS = 40;
const SOME_ROUNDS = 20;
const FEW_ROUNDS = 6;
const APPENDS = 200;

/** What each shape took at each size: for the curve of growth. */
const growth = new Map();

export async function history(world, { runs, database, sizes, keep }) {
  const rows = [];
  for (const size of [...sizes.filter((size) => size < runs), runs]) {
    const own = await makeWorld();
    try {
      rows.push(...(await atSize(own, { runs: size, database, keep, whole: size === runs })));
    } finally {
      await own.remove();
    }
  }
  return rows;
}

const QUESTIONS = [
  { kind: 'page and total', tool: 'search_action_runs', shapes: COMMON, rounds: ROUNDS, bar: 150 },
  { kind: 'summary', tool: 'summarize_action_runs', shapes: SUMMARIES, rounds: SOME_ROUNDS, bar: 250 },
  { kind: 'trace', tool: 'trace_versions', shapes: TRACES, rounds: SOME_ROUNDS, bar: 100 },
  { kind: 'changes', tool: 'find_changes', shapes: CHANGES, rounds: SOME_ROUNDS, bar: 100 },
];

async function atSize(world, { runs, database, keep, whole }) {
  const folder = keep && join(keep, `${database}-${runs}`);
  const place = database === 'postgres' ? await onPostgres(world, { runs, folder }) : await onSqlite(world, { runs, folder });
  const label = `${runs.toLocaleString('en')} runs`;
  const rows = [row(`${label}: filled`, { detail: place.detail, value: place.seconds, bar: null, unit: 's' })];
  const server = start([MAIN], { ...world.env, ...place.env });
  try {
    await server.initialize();
    for (const { kind, tool, shapes, rounds, bar } of QUESTIONS) {
      const times = await ask(server, tool, shapes, rounds);
      rows.push(...tell(times, { label: `${label}: ${kind}`, bar: whole ? bar : null, each: whole }));
      remember(times, { kind, label });
    }
    if (whole) rows.push(...(await others(server, place)), ...(await unblocked(server)));
    rows.push(memory(server.pid, label));
  } finally {
    await server.end();
  }
  rows.push(await inStore(place, label, whole));
  if (whole) rows.push(await appends(world, place));
  await place.close();
  return rows;
} // prettier-ignore

function remember(times, { kind, label }) {
  for (const [name, list] of Object.entries(times)) {
    const shape = `${kind}, ${name}`;
    if (!growth.has(shape)) growth.set(shape, new Map());
    growth.get(shape).set(label, `${median(list).toFixed(1)} / ${percentile(list, 99).toFixed(1)}`);
  }
}

/** How p50 and p99 (ms) of each shape grow with the ledger; nothing where no history was measured. */
export function growthTable() {
  const sizes = [...new Set([...growth.values()].flatMap((times) => [...times.keys()]))];
  if (sizes.length === 0) return [];
  return [
    `\n| p50 / p99 in ms | ${sizes.join(' | ')} |`,
    `| --- |${' --- |'.repeat(sizes.length)}`,
    ...[...growth].map(
      ([shape, times]) => `| ${shape} | ${sizes.map((size) => times.get(size) ?? '–').join(' | ')} |`,
    ),
  ];
}

async function ask(server, tool, shapes, rounds) {
  const times = {};
  for (let n = 0; n < rounds; n++) {
    for (const [name, shape] of Object.entries(shapes)) {
      // Another number of rows each time, so that no answer is one that was given before.
      const args = { limit: 20 + n, ...shape(n) };
      (times[name] ??= []).push(await timed(() => server.call(tool, args)));
    }
  }
  return times;
}

function tell(times, { label, bar, each }) {
  const all = Object.values(times).flat();
  const line = (name, list, limit) =>
    row(`${label}, ${name}`, {
      detail: `p50 ${median(list).toFixed(1)} ms, max ${Math.max(...list).toFixed(0)} ms (${list.length})`,
      value: percentile(list, 99),
      bar: limit,
      unit: 'ms',
    });
  const shapes = each ? Object.entries(times).map(([name, list]) => line(name, list, bar)) : [];
  return [...shapes, line('p99 of all', all, bar)];
}

/** The same in the store alone, without protocol and presentation. */
async function inStore(place, label, whole) {
  const records = place.open();
  const times = [];
  const query = { include_excluded: false, order: 'newest', after: null };
  for (let n = 0; n < ROUNDS; n++) {
    for (const shape of Object.values(COMMON)) {
      const { since, until, ...named } = shape(n);
      const lists = Object.entries(named).map(([name, value]) => [name, SINGLE.has(name) ? value : [value]]);
      const span = { since: since ? Date.parse(since) : null, until: until ? Date.parse(until) : null };
      const filters = { ...Object.fromEntries(lists), span, time_field: 'started' };
      times.push(await timed(() => records.history.search({ ...query, filters, limit: 20 + n })));
    }
  }
  await records.close();
  return row(`${label}: page and total in the store, p99 of all`, {
    detail: `p50 ${median(times).toFixed(1)} ms, max ${Math.max(...times).toFixed(0)} ms (${times.length})`,
    value: percentile(times, 99),
    bar: whole ? 50 : null,
    unit: 'ms',
  });
}

const SINGLE = new Set(['block_version', 'client', 'source', 'from', 'text']);

/** What no cube has, and what the same counting takes by hand on the same tables. */
async function others(server, place) {
  const rows = [];
  for (const [name, { ask: shape, by }] of Object.entries(OTHER)) {
    const ours = [];
    const byHand = [];
    for (let n = 0; n < FEW_ROUNDS; n++) {
      const args = { limit: 20 + n, ...shape(n) };
      ours.push(await timed(() => server.call('search_action_runs', args)));
      byHand.push(await timed(() => place.byHand(by, args)));
    }
    const detail = `ours ${median(ours).toFixed(0)} ms, by hand ${median(byHand).toFixed(0)} ms`;
    rows.push(row(`other: ${name}, ratio`, { detail, value: median(ours) / median(byHand), bar: 1.5 }));
    rows.push(row(`other: ${name}, longest`, { detail, value: Math.max(...ours), bar: 3_000, unit: 'ms' }));
  }
  return rows;
}

/** Other calls while a slow question is answered. */
async function unblocked(server) {
  const times = [];
  for (let n = 0; n < FEW_ROUNDS; n++) {
    let busy = true;
    const slow = server.call('search_action_runs', { text: `nothing like it ${n}`, limit: 20 + n }).finally(() => (busy = false));
    while (busy) times.push(await timed(() => server.call('get_status')));
    await slow;
  }
  const detail = `get_status while a question takes long, p50 ${median(times).toFixed(1)} ms (${times.length})`;
  return [row('other calls meanwhile, p99', { detail, value: percentile(times, 99), bar: 100, unit: 'ms' })];
} // prettier-ignore

function memory(pid, label) {
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  return row(`${label}: memory of the server, peak`, { detail: 'VmHWM', value: peak, bar: 512, unit: 'MB' });
}

/** What an intent costs on the full ledger against an empty one. */
async function appends(world, place) {
  const { storeIntent } = await appendParts(world);
  const [full, empty] = [place.open(), await place.openEmpty()];
  const now = Date.now();
  await storeIntent(full, now);
  await storeIntent(empty, now);
  let n = now + 1;
  const times = await pairs(
    APPENDS,
    () => storeIntent(full, n++),
    () => storeIntent(empty, n++),
  );
  await full.close();
  await empty.close();
  const [ours, theirs] = [median(times.left), median(times.right)];
  const detail = `${ours.toFixed(2)} ms, empty ${theirs.toFixed(2)} ms; p99 ${percentile(times.left, 99).toFixed(1)} and ${percentile(times.right, 99).toFixed(1)} ms`;
  return row('append, full ledger over empty', { detail, value: ours / theirs, bar: 1.3 });
} // prettier-ignore

/** A count and a page, as somebody would write them who knows the tables and the numbers of the terms. */
function handWritten(by, args, find) {
  const VALUES = { place: 'workspace', crew: 'user', exit_code: 'exit_code', said: 'text' };
  const conditions = by.map((column) => {
    const value = args[VALUES[column] ?? column];
    if (column === 'exit_code') return `exit_code = ${value}`;
    if (column === 'said') return `said IN (SELECT id FROM terms WHERE kind = 'said' AND ${find(value)} > 0)`;
    const like = column === 'place' ? `%"${value}"]` : column === 'crew' ? `["${value}",%` : value;
    return `${column} IN (SELECT id FROM terms WHERE kind = '${column}' AND value LIKE '${like}')`;
  });
  const where = `state < 8 AND ${conditions.join(' AND ')}`;
  return [
    `SELECT count(*) AS runs FROM narrow_runs WHERE ${where}`,
    `SELECT r.record FROM (SELECT n, start FROM narrow_runs WHERE ${where} ORDER BY start DESC LIMIT ${args.limit}) c
     JOIN runs r ON r.n = c.n ORDER BY c.start DESC`,
  ];
}

/** Filled once, where it is kept: what an earlier measurement left is asked again. */
async function onSqlite(world, { runs, folder }) {
  const parts = await manyRunsParts(world);
  const home = folder ?? world.home;
  const done = join(home, 'filled');
  const began = performance.now();
  if (!existsSync(done)) {
    mkdirSync(home, { recursive: true });
    parts.fillSqlite(home, runs, progress(runs));
    writeFileSync(done, `${runs}\n`);
  }
  const seconds = (performance.now() - began) / 1000;
  const file = join(home, 'ledger.db');
  const db = new Sqlite(file, { readonly: true });
  const other = await makeWorld();
  return {
    seconds,
    detail: `SQLite, ${(statSync(file).size / 1e9).toFixed(2)} GB`,
    env: { POLYCRATE_MCP_HOME: home },
    open: () => parts.openSqlite(home),
    openEmpty: async () => parts.openSqlite(other.home),
    byHand(by, args) {
      for (const text of handWritten(by, args, (value) => `instr(value, '${value}')`)) db.prepare(text).all();
    },
    async close() {
      db.close();
      await other.remove();
    },
  };
}

/** What a server of that size is given; the tests' own servers are many and small. */
const MEMORY = '512MB';

async function onPostgres(world, { runs, folder }) {
  const [parts, { ownPostgres }] = [await manyRunsParts(world), await appendParts(world)];
  const server = await ownPostgres({ ...(folder && { folder }), memory: MEMORY });
  const [empty, [kept]] = [await server.place(), await server.query("SELECT nspname AS schema FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') = 'filled'")];
  const full = kept ? { url: atSchema(empty.url, kept.schema), ...kept } : await server.place();
  const client = new pg.Client(full.url);
  await client.connect();
  const query = (text, values) => client.query(text, values);
  const began = performance.now();
  if (!kept) {
    await parts.fillPostgres(full.url, { count: runs, query, onProgress: progress(runs) });
    await query(`COMMENT ON SCHEMA ${full.schema} IS 'filled'`);
  }
  const seconds = (performance.now() - began) / 1000;
  const { rows } = await query('SELECT pg_database_size(current_database()) / 1e9 AS size');
  return {
    seconds,
    detail: `PostgreSQL, ${Number(rows[0].size).toFixed(2)} GB`,
    env: { POLYCRATE_MCP_DATABASE_URL: full.url },
    open: () => parts.createPostgresLedger({ url: full.url, log: () => undefined }),
    openEmpty: async () => parts.createPostgresLedger({ url: empty.url, log: () => undefined }),
    async byHand(by, args) {
      for (const text of handWritten(by, args, (value) => `strpos(value, '${value}')`)) await query(text);
    },
    async close() {
      await client.end();
      await empty.remove();
      await server.stop();
    },
  };
} // prettier-ignore

function atSchema(url, schema) {
  const other = new URL(url);
  other.searchParams.set('options', `-csearch_path=${schema}`);
  return other.href;
}

function progress(runs) {
  let told = 0;
  return (done) => {
    if (done - told < runs / 10) return;
    told = done;
    console.error(`filled ${done.toLocaleString('en')} of ${runs.toLocaleString('en')}`);
  };
}
