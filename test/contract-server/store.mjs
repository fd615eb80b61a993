// What the API knows, in SQLite, so that it survives a restart of the process.
import { randomUUID } from 'node:crypto';
import Database from 'better-sqlite3';

const TABLES = `
CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS workspaces (id TEXT PRIMARY KEY, organization TEXT, name TEXT, purpose TEXT);
CREATE TABLE IF NOT EXISTS blocks (id TEXT PRIMARY KEY, workspace TEXT, name TEXT, version TEXT, managed_by TEXT);
CREATE INDEX IF NOT EXISTS blocks_by_name ON blocks (workspace, name);
CREATE TABLE IF NOT EXISTS runs (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, workspace TEXT, block TEXT, action TEXT, name TEXT,
  status TEXT, status_reason TEXT, exit_code INTEGER, started_at TEXT, finished_at TEXT, created_at TEXT, username TEXT,
  log_stdout TEXT, log_stderr TEXT, block_version TEXT, block_labels TEXT, block_config TEXT, metadata TEXT,
  raw_data TEXT, task_id TEXT, archived INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS runs_by_block ON runs (block, n);
CREATE INDEX IF NOT EXISTS runs_active ON runs (block) WHERE status IN ('pending', 'running');
CREATE TABLE IF NOT EXISTS activities (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, kind TEXT, run TEXT,
  username TEXT, at TEXT);
CREATE TABLE IF NOT EXISTS items (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, block TEXT, action TEXT,
  status TEXT, source TEXT, run TEXT, reason TEXT);
`;

const RUN_COLUMNS = [
  'id', 'workspace', 'block', 'action', 'name', 'status', 'status_reason', 'exit_code', 'started_at', 'finished_at',
  'created_at', 'username', 'log_stdout', 'log_stderr', 'block_version', 'block_labels', 'block_config', 'metadata',
  'raw_data', 'task_id',
]; // prettier-ignore

export function openStore(file) {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = OFF');
  db.exec(TABLES);
  const statements = new Map();
  const sql = (text) => statements.get(text) ?? statements.set(text, db.prepare(text)).get(text);

  const named = (table, where, values) => sql(`SELECT * FROM ${table} WHERE ${where}`).get(values);
  const made = (table, row) => {
    const names = Object.keys(row);
    sql(
      `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((name) => `@${name}`).join(', ')})`,
    ).run(row);
    return row;
  };

  return {
    db,
    sql,
    /** Makes what is not there: organizations with workspaces with blocks, by name. A block that is there gets the version. */
    seed: db.transaction((organizations) => {
      for (const { name, workspaces = [] } of organizations) {
        const organization =
          named('organizations', 'name = @name', { name }) ??
          made('organizations', { id: randomUUID(), name });
        for (const { name, purpose = null, blocks = [] } of workspaces) {
          const place = { organization: organization.id, name };
          const workspace =
            named('workspaces', 'organization = @organization AND name = @name', place) ??
            made('workspaces', { id: randomUUID(), ...place, purpose });
          for (const block of blocks) {
            const { name, version = null, managed_by = 'cli' } = block;
            const at = { workspace: workspace.id, name };
            const there = named('blocks', 'workspace = @workspace AND name = @name', at);
            if (!there) made('blocks', { id: randomUUID(), ...at, version, managed_by });
            else if (version !== null) sql('UPDATE blocks SET version = ? WHERE id = ?').run(version, there.id);
          }
        }
      }
    }),
    /** The block of that name, or null, with its workspace. */
    find({ organization, workspace, block }) {
      return sql(
        `SELECT b.*, w.id AS workspace_id FROM blocks b JOIN workspaces w ON w.id = b.workspace
         JOIN organizations o ON o.id = w.organization WHERE o.name = ? AND w.name = ? AND b.name = ?`,
      ).get(organization, workspace, block);
    },
    addRun(run) {
      const id = run.id ?? randomUUID();
      const row = Object.fromEntries(RUN_COLUMNS.map((column) => [column, run[column] ?? null]));
      made('runs', { ...row, id, name: run.name ?? `${run.action} run` });
      return id;
    },
    run: (id) => sql('SELECT * FROM runs WHERE id = ?').get(id),
    active: (block) =>
      sql("SELECT * FROM runs WHERE block = ? AND status IN ('pending', 'running') ORDER BY n LIMIT 1").get(block),
    change(id, values) {
      const names = Object.keys(values);
      sql(`UPDATE runs SET ${names.map((name) => `${name} = @${name}`).join(', ')} WHERE id = @id`).run({ ...values, id });
    },
    note: (kind, run, { username, at }) => made('activities', { id: randomUUID(), kind, run, username, at }),
  };
} // prettier-ignore
