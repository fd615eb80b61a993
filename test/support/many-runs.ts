import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { openLedger as openPostgresTables } from '../../src/adapters/postgres/open.ts';
import { openLedger } from '../../src/adapters/sqlite/open.ts';
import { narrow } from '../../src/adapters/sqlite/narrow-runs.ts';
import { projector, RUN_COLUMNS } from '../../src/adapters/sqlite/projection.ts';
import { narrow as narrowInPostgres, rowOf } from '../../src/adapters/postgres/projection.ts';
import { COUNTED_UNTIL, countStatements } from '../../src/adapters/sql/cubes.ts';
import { spanStatements } from '../../src/adapters/sql/spans.ts';
import { PLAIN_COLUMNS, TERM_COLUMNS, type NarrowRun } from '../../src/adapters/sql/narrow.ts';
import type { ActionRun } from '../../src/runs/action-run.ts';
import { foldEvent } from '../../src/runs/fold.ts';
import { intentFor, openSqlite } from './fill-ledger.ts';

// Very many runs for questions: records, narrow runs, terms and counts, by the product's own projections. There are no
// events: ten million runs have thirty million, and no question reads one.

export { createPostgresLedger, openSqlite };
export { intentFor } from './fill-ledger.ts';

const DAY = 86_400_000;
export const BEGIN = Date.UTC(2023, 9, 1);
/** Three years, however many runs: growth is in how busy the days are. */
export const DAYS = 1_096;

/** Deterministic, small, good enough for shapes of data. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Few are used much, many little. */
const skewed = (rnd: () => number, count: number): number => Math.floor((count + 1) ** rnd()) - 1;

const ACTIONS = [
  'deploy',
  'restart',
  'backup',
  'check',
  'install',
  'upgrade',
  'status',
  'uninstall',
  'rotate',
  'scale',
];

/** The run number n of a history of `count` runs: 20 organizations, 400 workspaces, 150 blocks, 500 people, 300 hosts. */
export function pastRun(n: number, count: number, rnd: () => number): ActionRun {
  const at = BEGIN + Math.floor((n * DAYS * DAY) / count);
  const place = skewed(rnd, 400);
  const block = (place * 7 + skewed(rnd, 15)) % 150;
  const person = skewed(rnd, 500);
  const roll = rnd();
  const status = roll < 0.9 ? 'success' : roll < 0.98 ? 'failed' : roll < 0.99 ? 'cancelled' : 'unknown';
  const launched = rnd() > 0.005;
  const duration = Math.floor(Math.exp(6 + rnd() * 7));
  const { event } = intentFor({
    id: idOf(at, n),
    requested_at: at,
    organization: `organization-${place % 20}`,
    workspace: `workspace-${place}`,
    environment: ['production', 'staging', 'test'][place % 3]!,
    block: `block-${block}`,
    block_version: `1.${Math.floor((n / count) * 30)}.${block % 3}`,
    block_from: `registry.example.com/acme/base-${block % 40}:2`,
    action: ACTIONS[skewed(rnd, ACTIONS.length)]!,
    display: `Person ${person}`,
    os_user: person % 5 ? 'deploy' : 'ci',
    hostname: `host-${skewed(rnd, 300)}`,
    client: ['chat', 'ide', 'ci', 'shell'][skewed(rnd, 4)]!,
    source: (['ledger', 'api', 'logs'] as const)[skewed(rnd, 3)]!,
    reason: rnd() < 0.3 ? `change ${n} because of ticket ${n % 9_973}` : null,
  });
  const run = foldEvent(null, event);
  const end = launched ? { started_at: at + 300, finished_at: at + 300 + duration, duration_ms: duration } : { finished_at: at };
  return { ...run, ...end, launched, status: launched ? status : 'cancelled', exit_code: status === 'success' ? 0 : 2 };
} // prettier-ignore

function idOf(at: number, n: number): string {
  const time = at.toString(16).padStart(12, '0');
  const rest = n.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${rest}`;
}

const BATCH = 20_000;

export function fillSqlite(home: string, count: number, onProgress: (done: number) => void): void {
  const { db } = openLedger(home);
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -1000000');
  // Indexes are built at the end: by sorting once, not by ten million places in them.
  const indexes = db
    .prepare<[], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('runs', 'narrow_runs', 'terms')",
    )
    .all();
  for (const { name } of indexes) db.exec(`DROP INDEX ${name}`);
  const names = ['n', ...RUN_COLUMNS, 'record'];
  const insertRun = db.prepare(`INSERT INTO runs (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`);
  const columns = ['n', 'start', ...TERM_COLUMNS, ...PLAIN_COLUMNS];
  const insertNarrow = db.prepare(`INSERT INTO narrow_runs (${columns.join(', ')}) VALUES (${columns.map((c) => `@${c}`).join(', ')})`);
  const insertTerm = db.prepare('INSERT INTO terms (kind, value) VALUES (?, ?)');
  const numbers = createNumbers((kind, value) => Number(insertTerm.run(kind, value).lastInsertRowid));
  const rnd = random(7);
  const store = db.transaction((from: number, to: number) => {
    for (let n = from; n < to; n++) {
      const run = pastRun(n, count, rnd);
      insertRun.run(n + 1, ...projector.row(run), JSON.stringify(run));
      insertNarrow.run(numbered(narrow(run), n + 1, numbers));
    }
  });
  for (let from = 0; from < count; from += BATCH) {
    store(from, Math.min(count, from + BATCH));
    onProgress(from);
  }
  for (const { sql } of indexes) db.exec(sql);
  const until = BEGIN + DAYS * DAY - 2 * 3_600_000;
  const source = `narrow_runs c WHERE c.start < ${until}`;
  for (const statement of [...countStatements(source), ...spanStatements('narrow_runs c')]) db.prepare(statement).run();
  db.prepare('INSERT INTO meta VALUES (?, ?)').run(COUNTED_UNTIL, String(until));
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.exec('ANALYZE');
  db.close();
} // prettier-ignore

type Numbers = (kind: string, value: string | null) => number;

function createNumbers(mint: (kind: string, value: string) => number): Numbers {
  const known = new Map<string, number>();
  return (kind, value) => {
    if (value === null) return 0;
    // Nobody else has the words of this run.
    if (kind === 'said') return mint(kind, value);
    const name = `${kind} ${value}`;
    let id = known.get(name);
    if (id === undefined) known.set(name, (id = mint(kind, value)));
    return id;
  };
}

function numbered(
  { terms, ...plain }: NarrowRun,
  n: number,
  numbers: Numbers,
): Record<string, number | null> {
  const ids = Object.entries(terms).map(([kind, value]) => [kind, numbers(kind, value)]);
  return { n, ...plain, ...(Object.fromEntries(ids) as Record<string, number>) };
}

function csvOf(row: object): string {
  const cells = Object.values(row) as (string | number | boolean | null)[];
  return `${cells.map((cell) => (typeof cell === 'string' ? `"${cell.replaceAll('"', '""')}"` : (cell ?? ''))).join(',')}\n`;
}

type Query = (text: string, values?: unknown[]) => Promise<{ rows: unknown[] }>;

/** Those that no constraint needs. */
const PLAIN_INDEXES = `
  SELECT i.indexname AS name, i.indexdef AS sql FROM pg_indexes i
  WHERE i.schemaname = current_schema() AND i.tablename IN ('runs', 'narrow_runs', 'terms')
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname AND c.connamespace = i.schemaname::regnamespace)`;

export async function fillPostgres(
  url: string,
  { count, query, onProgress }: { count: number; query: Query; onProgress: (done: number) => void },
): Promise<void> {
  const opened = await openPostgresTables({ url, log: () => undefined, create: true });
  await opened.close();
  const indexes = (await query(PLAIN_INDEXES)).rows as { name: string; sql: string }[];
  for (const { name } of indexes) await query(`DROP INDEX ${name}`);
  await query("SET maintenance_work_mem = '512MB'");
  await query('SET synchronous_commit = off');
  const rnd = random(7);
  let last = 0;
  let fresh: { id: number; kind: string; value: string }[] = [];
  const numbers = createNumbers((kind, value) => {
    fresh.push({ id: ++last, kind, value });
    return last;
  });
  const folder = mkdtempSync(join(tmpdir(), 'pmcp-fill-'));
  chmodSync(folder, 0o755);
  const file = join(folder, 'rows.csv');
  // Read by the server itself, which is on this machine: several times as fast as statements with rows in them.
  const insert = async (table: string, rows: readonly object[]): Promise<void> => {
    writeFileSync(file, rows.map(csvOf).join(''), { mode: 0o644 });
    await query(`COPY ${table} (${Object.keys(rows[0]!).join(', ')}) FROM '${file}' WITH (FORMAT csv)`);
  };
  for (let from = 0; from < count; from += BATCH) {
    const [runs, narrows]: [object[], object[]] = [[], []];
    for (let n = from; n < Math.min(count, from + BATCH); n++) {
      const run = pastRun(n, count, rnd);
      runs.push({ ...rowOf(run), n: n + 1, version: n + 1 });
      narrows.push(numbered(narrowInPostgres(run), n + 1, numbers));
    }
    if (fresh.length > 0) await insert('terms', fresh);
    fresh = [];
    await insert('runs', runs);
    await insert('narrow_runs', narrows);
    onProgress(from);
  }
  rmSync(folder, { recursive: true });
  for (const { sql } of indexes) await query(sql);
  const until = BEGIN + DAYS * DAY - 2 * 3_600_000;
  for (const statement of countStatements(`narrow_runs c WHERE c.start < ${until}`)) await query(statement);
  for (const statement of spanStatements('narrow_runs c')) await query(statement);
  await query('INSERT INTO meta VALUES ($1, $2)', [COUNTED_UNTIL, String(until)]);
  await query(`SELECT setval('run_numbers', ${count}), setval(pg_get_serial_sequence('terms', 'id'), ${last})`);
  for (const table of ['terms', 'narrow_runs', 'unit_spans', 'run_counts', 'runs']) await query(`VACUUM ANALYZE ${table}`);
} // prettier-ignore
