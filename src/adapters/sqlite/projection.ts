import { randomBytes } from 'node:crypto';
import type { Database, Statement } from 'better-sqlite3';
import { canonicalJson, type JsonObject } from '../../shared/json.ts';
import { commitment, GENESIS, linkHash } from '../../runs/chain.ts';
import { applyEvent, type ActionRun, type RunEvent } from '../../runs/action-run.ts';

const RUN_COLUMNS = [
  'id', 'kind', 'organization', 'workspace', 'environment', 'block', 'block_version', 'app_version', 'block_from',
  'action', 'status', 'status_reason', 'exit_code', 'launched', 'requested_at', 'started_at', 'finished_at',
  'duration_ms', 'host', 'client', 'source', 'reason', 'retrigger_of',
  'record',
] as const; // prettier-ignore

/** Writes events and keeps the projection in step; callers hold the transaction. */
export interface Projection {
  append(event: RunEvent): ActionRun;
  read(id: string): ActionRun | null;
}

export function createProjection(db: Database): Projection {
  const lastEvent = db.prepare('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1');
  const insertEvent = db.prepare(
    'INSERT INTO events (seq, at, kind, run_id, facts, commitments, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const insertPrivate = db.prepare('INSERT INTO event_private (seq, name, salt, value) VALUES (?, ?, ?, ?)');
  const selectRun = db.prepare('SELECT record FROM runs WHERE id = ?').pluck();
  const writeRun = db.prepare(
    `INSERT OR REPLACE INTO runs (${RUN_COLUMNS.join(', ')}) VALUES (${RUN_COLUMNS.map((c) => `@${c}`).join(', ')})`,
  );
  const names = peopleWriter(db);

  const read = (id: string): ActionRun | null => {
    const record = selectRun.get(id) as string | undefined;
    return record === undefined ? null : (JSON.parse(record) as ActionRun);
  };

  return {
    read,
    append(event) {
      const { commitments, values } = commit(event.private);
      const last = (lastEvent.get() ?? { seq: 0, hash: GENESIS }) as { seq: number; hash: string };
      const { at, kind, run_id, facts } = event;
      const link = { seq: last.seq + 1, at, kind, run_id, facts, commitments, prev: last.hash };
      const stored = [canonicalJson(facts), canonicalJson(commitments), link.prev, linkHash(link)];
      insertEvent.run(link.seq, at, kind, run_id, ...stored);
      for (const { name, salt, value } of values) insertPrivate.run(link.seq, name, salt, value);
      const run = applyEvent(read(event.run_id), event);
      writeRun.run(columnsOf(run));
      names(run);
      return run;
    },
  };
}

/** Private values enter the event only as HMAC-SHA256 under a fresh salt; values and salts lie apart. */
function commit(members: JsonObject): {
  commitments: Record<string, string>;
  values: { name: string; salt: Buffer; value: string }[];
} {
  const commitments: Record<string, string> = {};
  const values = Object.entries(members).map(([name, member]) => {
    const salt = randomBytes(16);
    commitments[name] = commitment(salt, member);
    return { name, salt, value: canonicalJson(member) };
  });
  return { commitments, values };
}

function columnsOf(run: ActionRun): Record<(typeof RUN_COLUMNS)[number], string | number | null> {
  return {
    ...run,
    environment: run.environment?.value ?? null,
    launched: run.launched ? 1 : 0,
    host: run.hostname,
    client: run.client?.name ?? null,
    record: JSON.stringify(run),
  };
}

/** Keeps the names that a `user` filter and an id look-up search by. */
function peopleWriter(db: Database): (run: ActionRun) => void {
  const insertPerson = db.prepare('INSERT OR IGNORE INTO run_people (name, run_id, role) VALUES (?, ?, ?)');
  const insertAlias: Statement = db.prepare(
    'INSERT OR IGNORE INTO run_aliases (alias, run_id) VALUES (?, ?)',
  );
  return (run) => {
    const people: [string | null | undefined, string][] = [
      [run.os_user, 'os_user'],
      [run.principal?.subject, 'principal'],
      [run.principal?.display, 'principal'],
    ];
    for (const [name, role] of people) if (name) insertPerson.run(name.toLowerCase(), run.id, role);
    for (const alias of run.aliases) insertAlias.run(alias.id, run.id);
  };
}
