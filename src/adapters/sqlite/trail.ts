import type { Database } from 'better-sqlite3';
import type { CallFilters, CallPage, CallQuery, RecordedCall } from '../../history/trail.ts';
import { CALL_COLUMNS, callRows, principalEnd, type CallsEvent } from '../../runs/trail-event.ts';
import { createChain } from './chain.ts';
import { refuseWrite, type OpenLedger } from './open.ts';
import { createStatements, type Statements } from './statements.ts';
import { storable } from './storable.ts';

/** Chains a batch and keeps the table `calls` in step; callers hold the transaction. */
export function createCallWriter(db: Database): (event: CallsEvent) => void {
  const chain = createChain(db);
  const columns = ['seq', ...CALL_COLUMNS];
  const insert = db.prepare(
    `INSERT INTO calls (${columns.join(', ')}) VALUES (${columns.map((column) => `@${column}`).join(', ')})`,
  );
  return (event) => {
    const seq = chain(event);
    for (const row of callRows(event, storable)) insert.run({ seq, ...row });
  };
}

export interface SyncTrail {
  /** `event`: JSON of a `CallsEvent`; a thread takes one text in a tenth of the time that thousands of members need. */
  recordCalls(event: string): void;
  searchCalls(query: CallQuery): CallPage;
  callNames(column: 'tool' | 'principal', limit: number): string[];
}

export function createSyncTrail(open: OpenLedger): SyncTrail {
  const { db } = open;
  const write = createCallWriter(db);
  const statements = createStatements(db);
  const record = db.transaction((event: CallsEvent): void => {
    refuseWrite(open, 'calls are not recorded');
    write(event);
  });
  const inOneView = db.transaction((query: CallQuery) => search(statements, query));
  return {
    recordCalls: (event) => record.immediate(JSON.parse(event) as CallsEvent),
    searchCalls: (query) => inOneView(query),
    callNames: (column, limit) =>
      statements(`${NAMES[column]} ORDER BY value LIMIT ?`).pluck().all(limit) as string[],
  };
}

const NAMES = {
  tool: 'SELECT DISTINCT tool AS value FROM calls',
  principal: `SELECT subject AS value FROM calls WHERE subject IS NOT NULL
    UNION SELECT display FROM calls WHERE display IS NOT NULL`,
};

const COLUMNS = 'id, at, tool, outcome, code, duration_ms, run_id, principal, client, arguments';

type Value = string | number;

function search(statements: Statements, { filters, limit, after }: CallQuery): CallPage {
  const { clauses, values } = conditions(filters);
  const total = statements(`SELECT count(*) FROM calls ${where(clauses)}`)
    .pluck()
    .get(values) as number;
  const beyond = after ? ['(at < ? OR (at = ? AND id < ?))'] : [];
  const rows = statements(
    `SELECT ${COLUMNS} FROM calls ${where([...clauses, ...beyond])} ORDER BY at DESC, id DESC LIMIT ?`,
  ).all([...values, ...(after ? [after.at, after.at, after.id] : []), limit + 1]) as RecordedCall[];
  const calls = rows.slice(0, limit);
  const last = calls.at(-1);
  return { calls, total, next: rows.length > limit && last ? { at: last.at, id: last.id } : null };
}

function where(clauses: readonly string[]): string {
  return clauses.length === 0 ? '' : `WHERE ${clauses.join(' AND ')}`;
}

function conditions({ tool, principal, outcome, own, span }: CallFilters): {
  clauses: string[];
  values: Value[];
} {
  const clauses: string[] = [];
  const values: Value[] = [];
  const add = (clause: string, ...bound: Value[]): void => {
    clauses.push(clause);
    values.push(...bound);
  };
  const marks = (list: readonly string[]): string => list.map(() => '?').join(', ');
  if (span.since !== null) add('at >= ?', span.since);
  if (span.until !== null) add('at < ?', span.until);
  if (tool) add(`tool IN (${marks(tool)})`, ...tool);
  if (own) {
    const end = storable(principalEnd(own));
    add('subject = ? AND substr(principal, -length(?)) = ?', storable(own.subject).toLowerCase(), end, end);
  }
  if (outcome) add(`outcome IN (${marks(outcome)})`, ...outcome);
  if (principal) {
    add(`(subject IN (${marks(principal)}) OR display IN (${marks(principal)}))`, ...principal, ...principal);
  }
  return { clauses, values };
}
