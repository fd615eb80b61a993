import type { Database } from 'better-sqlite3';
import { canonicalJson } from '../../shared/json.ts';
import { commitAll, GENESIS, linkHash } from '../../runs/chain.ts';
import type { Projector, Row } from '../../runs/verify-projection.ts';
import { applyEvent, type ActionRun, type RunEvent } from '../../runs/action-run.ts';

/** Columns of `runs` beside the record. */
export const RUN_COLUMNS = [
  'id', 'kind', 'organization', 'workspace', 'environment', 'block', 'block_version', 'app_version', 'block_from',
  'action', 'status', 'status_reason', 'exit_code', 'launched', 'requested_at', 'started_at', 'finished_at',
  'duration_ms', 'host', 'client', 'source', 'reason', 'retrigger_of',
] as const; // prettier-ignore

/** Writes events and keeps the projection in step; callers hold the transaction. */
export interface Projection {
  append(event: RunEvent): ActionRun;
  /** An event that is about no run. */
  note(event: RunEvent): void;
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
    `INSERT OR REPLACE INTO runs (${RUN_COLUMNS.join(', ')}, record) VALUES (${RUN_COLUMNS.map((c) => `@${c}`).join(', ')}, @record)`,
  );
  const names = peopleWriter(db);

  const read = (id: string): ActionRun | null => {
    const record = selectRun.get(id) as string | undefined;
    return record === undefined ? null : (JSON.parse(record) as ActionRun);
  };

  const link = (event: RunEvent): void => {
    const { commitments, values } = commitAll(event.private);
    const last = (lastEvent.get() ?? { seq: 0, hash: GENESIS }) as { seq: number; hash: string };
    const { at, kind, run_id, facts } = event;
    const next = { seq: last.seq + 1, at, kind, run_id, facts, commitments, prev: last.hash };
    const stored = [canonicalJson(facts), canonicalJson(commitments), next.prev, linkHash(next)];
    insertEvent.run(next.seq, at, kind, run_id, ...stored);
    for (const { name, salt, value } of values) insertPrivate.run(next.seq, name, salt, value);
  };

  return {
    read,
    note: link,
    append(event) {
      link(event);
      const run = applyEvent(read(event.run_id), event);
      writeRun.run({ ...projector.row(run), record: JSON.stringify(run) });
      names(run);
      return run;
    },
  };
}

/** What the tables say about a record. Erased fields are like fields that were never set. */
export const projector: Projector = {
  row(run) {
    const named = {
      ...run,
      environment: run.environment?.value,
      launched: run.launched ? 1 : 0,
      host: run.hostname,
      client: run.client?.name,
    };
    return Object.fromEntries<Row[string]>(
      RUN_COLUMNS.map((column) => [column, storable(named[column] ?? null)]),
    );
  },
  people(run) {
    const people: [string | null | undefined, string][] = [
      [run.os_user, 'os_user'],
      [run.principal?.subject, 'principal'],
      [run.principal?.display, 'principal'],
    ];
    return people.flatMap(([name, role]) => (name ? [`${role} ${storable(name.toLowerCase())}`] : []));
  },
  aliases: (run) => run.aliases.map(({ id }) => storable(id)),
};

/** UTF-8 cannot hold half a surrogate pair: it becomes U+FFFD here as it would on its way into the file. */
function storable<T extends string | number | null>(value: T): T {
  if (typeof value !== 'string' || !/\p{Surrogate}/u.test(value)) return value;
  return Buffer.from(value).toString() as T;
}

/** Keeps the names that a `user` filter and an id look-up search by. */
function peopleWriter(db: Database): (run: ActionRun) => void {
  const insertPerson = db.prepare('INSERT OR IGNORE INTO run_people (name, run_id, role) VALUES (?, ?, ?)');
  const insertAlias = db.prepare('INSERT OR IGNORE INTO run_aliases (alias, run_id) VALUES (?, ?)');
  return (run) => {
    for (const entry of projector.people(run)) {
      const space = entry.indexOf(' ');
      insertPerson.run(entry.slice(space + 1), run.id, entry.slice(0, space));
    }
    for (const alias of projector.aliases(run)) insertAlias.run(alias, run.id);
  };
}
