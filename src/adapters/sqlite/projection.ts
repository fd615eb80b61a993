import type { Row } from '../../runs/row.ts';
import type { Database } from 'better-sqlite3';
import type { Projector, Rebuilt } from '../../ledger/verify-projection.ts';
import { applyEvent, type ActionRun, type RunEvent, type LedgerEvent } from '../../runs/action-run.ts';
import { createChain } from './chain.ts';
import { storable } from './storable.ts';

/** Columns of `runs` beside the record. */
export const RUN_COLUMNS = [
  'id', 'kind', 'organization', 'workspace', 'environment', 'block', 'block_version', 'app_version', 'block_from',
  'action', 'status', 'status_reason', 'exit_code', 'launched', 'requested_at', 'started_at', 'finished_at',
  'duration_ms', 'host', 'client', 'source', 'reason', 'retrigger_of',
] as const; // prettier-ignore

/** Writes events and keeps the projection in step; callers hold the transaction. */
export interface Projection {
  append(event: RunEvent): ActionRun;
  read(id: string): ActionRun | null;
  /** Chains an event and leaves the projection alone; answers its number. */
  chain(event: LedgerEvent): number;
  /** Replaces what the tables say about a run. */
  rewrite(rebuilt: Rebuilt): void;
}

export function createProjection(db: Database): Projection {
  const chain = createChain(db);
  const selectRun = db.prepare('SELECT record FROM runs WHERE id = ?').pluck();
  const writeRun = db.prepare(
    `INSERT OR REPLACE INTO runs (${RUN_COLUMNS.join(', ')}, record) VALUES (${RUN_COLUMNS.map((c) => `@${c}`).join(', ')}, @record)`,
  );
  const names = peopleWriter(db);

  const read = (id: string): ActionRun | null => {
    const record = selectRun.get(id) as string | undefined;
    return record === undefined ? null : (JSON.parse(record) as ActionRun);
  };

  return {
    read,
    chain,
    append(event) {
      chain(event);
      const run = applyEvent(read(event.run_id), event);
      writeRun.run({ ...projector.row(run), record: JSON.stringify(run) });
      names.add(projector.people(run), run);
      return run;
    },
    rewrite({ run, row, people }) {
      writeRun.run({ ...row, record: JSON.stringify(run) });
      names.clear(run.id);
      names.add(people, run);
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

/** Keeps the names that a `user` filter and an id look-up search by. */
function peopleWriter(db: Database): {
  add(people: Iterable<string>, run: ActionRun): void;
  clear(run_id: string): void;
} {
  const insertPerson = db.prepare('INSERT OR IGNORE INTO run_people (name, run_id, role) VALUES (?, ?, ?)');
  const insertAlias = db.prepare('INSERT OR IGNORE INTO run_aliases (alias, run_id) VALUES (?, ?)');
  const deletePeople = db.prepare('DELETE FROM run_people WHERE run_id = ?');
  return {
    add(people, run) {
      for (const entry of people) {
        const space = entry.indexOf(' ');
        insertPerson.run(entry.slice(space + 1), run.id, entry.slice(0, space));
      }
      for (const alias of projector.aliases(run)) insertAlias.run(alias, run.id);
    },
    clear: (run_id) => void deletePeople.run(run_id),
  };
}
