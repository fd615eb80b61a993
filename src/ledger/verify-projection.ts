import type { Cell, Row } from '../runs/row.ts';
import { isObject, sameJson, type Json, type JsonObject } from '../shared/json.ts';
import { foldEvent, type ActionRun, type RunEvent } from '../runs/action-run.ts';
import type { StoredEvent, StoredValue } from './chain.ts';
import type { Finding } from './verify.ts';

export type PlainValue = Pick<StoredValue, 'name' | 'value'>;

/** Everything that is stored about one run, events in their order. */
export interface RunParts {
  run_id: string;
  events: readonly { event: StoredEvent; values: readonly PlainValue[] }[];
  row: Row | null;
  /** The record as the table holds it, JSON. */
  record: Cell;
  /** What the look-up tables hold, each entry as one text. */
  people: readonly string[];
  aliases: readonly string[];
  /** When each idempotency key that stands for this run was stored. */
  requests: readonly number[];
}

/** How a store derives its tables from a record. */
export interface Projector {
  /** The columns beside the record itself. */
  row(run: ActionRun): Row;
  people(run: ActionRun): string[];
  aliases(run: ActionRun): string[];
}

/** Compares the tables with a rebuild from the events, in both directions. */
export function checkRun(parts: RunParts, projector: Projector, found: (finding: Finding) => void): void {
  const { run_id } = parts;
  const rebuilt = rebuild(parts, projector);
  if (rebuilt === 'impossible') {
    const says = `run ${run_id} cannot be rebuilt from its events`;
    return found({ fault: 'row_changed', run_id, table: 'runs', says });
  }
  if (rebuilt) checkRow(parts, rebuilt, found);
  else if (parts.row) found(unexpected(run_id, 'runs'));
  checkEntries({ run_id, table: 'run_people', right: rebuilt?.people, stored: parts.people }, found);
  checkEntries({ run_id, table: 'run_aliases', right: rebuilt?.aliases, stored: parts.aliases }, found);
  for (const at of parts.requests) {
    if (!rebuilt) found(unexpected(run_id, 'requests'));
    else if (at !== parts.events[0]!.event.at) found(changed({ run_id, table: 'requests', field: 'at' }));
  }
}

/** What the tables must say about a run. */
export interface Rebuilt {
  run: ActionRun;
  row: Row;
  people: Set<string>;
  aliases: Set<string>;
}

/** Null: there are no events. */
export function rebuild(
  { events }: Pick<RunParts, 'events'>,
  projector: Projector,
): Rebuilt | null | 'impossible' {
  let run: ActionRun | null = null;
  // Entries stay although a later event changes the record, hence they are collected on the way.
  const people = new Set<string>();
  const aliases = new Set<string>();
  try {
    for (const { event, values } of events) {
      run = foldEvent(run, parsed(event, values));
      for (const entry of projector.people(run)) people.add(entry);
      for (const entry of projector.aliases(run)) aliases.add(entry);
    }
    return run && { run, row: projector.row(run), people, aliases };
  } catch {
    return 'impossible';
  }
}

function parsed(event: StoredEvent, values: readonly PlainValue[]): RunEvent {
  return {
    kind: event.kind as RunEvent['kind'],
    run_id: event.run_id,
    at: event.at,
    facts: JSON.parse(event.facts) as JsonObject,
    private: Object.fromEntries(values.map(({ name, value }) => [name, JSON.parse(value) as Json])),
  };
}

function checkRow(
  { run_id, row: stored, record }: RunParts,
  { run, row }: Rebuilt,
  found: (finding: Finding) => void,
): void {
  if (!stored) {
    const says = `run ${run_id} has events but no row in runs`;
    return found({ fault: 'row_missing', run_id, table: 'runs', says });
  }
  const columns = Object.keys(row).filter((column) => stored[column] !== row[column]);
  for (const field of [...columns, ...differences({ ...run }, objectOf(record))]) {
    found(changed({ run_id, table: 'runs', field }));
  }
}

/** The members in which two records differ, however they are written down; their order says nothing. */
function differences(right: Record<string, unknown>, stored: Record<string, unknown> | null): string[] {
  if (!stored) return ['record'];
  const wrong = Object.keys(right).filter(
    (name) => !Object.hasOwn(stored, name) || !sameJson(right[name], stored[name]),
  );
  const added = Object.keys(stored).filter((name) => !Object.hasOwn(right, name));
  return [...wrong, ...added].map((name) => `record.${name}`);
}

function objectOf(text: Cell): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(String(text));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

interface Entries {
  run_id: string;
  table: 'run_people' | 'run_aliases';
  right: ReadonlySet<string> | undefined;
  stored: readonly string[];
}

function checkEntries(
  { run_id, table, right = new Set(), stored }: Entries,
  found: (finding: Finding) => void,
): void {
  for (const entry of right) {
    if (stored.includes(entry)) continue;
    const says = `run ${run_id} lacks a row in ${table} that its events call for`;
    found({ fault: 'row_missing', run_id, table, field: entry, says });
  }
  for (const entry of stored) if (!right.has(entry)) found(unexpected(run_id, table, entry));
}

function unexpected(run_id: string, table: NonNullable<Finding['table']>, field?: string): Finding {
  const says = `${table} has a row for run ${run_id} that no event calls for`;
  return { fault: 'row_unexpected', run_id, table, ...(field !== undefined && { field }), says };
}

function changed(place: Required<Pick<Finding, 'run_id' | 'table' | 'field'>>): Finding {
  const says = `${place.field} of run ${place.run_id} in ${place.table} is not what the events say`;
  return { fault: 'row_changed', ...place, says };
}
