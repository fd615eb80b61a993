import type { Cell } from '../runs/row.ts';
import { isObject, sameJson, type Json, type JsonObject } from '../shared/json.ts';
import type { ActionRun, RunEvent } from '../runs/action-run.ts';
import { foldEvent } from '../runs/fold.ts';
import { peopleOf, type PersonName } from '../runs/people.ts';
import type { StoredEvent, StoredValue } from './chain.ts';
import { mirroredRun } from './mirrored-run.ts';
import type { MirroredRow } from './mirrored-row.ts';
import type { Finding } from './verify.ts';

export type PlainValue = Pick<StoredValue, 'name' | 'value'>;

export interface EventParts {
  event: StoredEvent;
  values: readonly PlainValue[];
  /** What `event.facts` says, if somebody parsed it already. */
  facts?: JsonObject;
}

/** Everything that is stored about one run, events in their order. */
/** A row without the names of its columns: a fraction of what an object of so many members costs. */
export type Cells = readonly Cell[];

export interface RunParts {
  run_id: string;
  events: readonly EventParts[];
  /** The row in `runs`, in the order of the projector's columns. */
  row: Cells | null;
  /** The record as the table holds it, JSON. */
  record: Cell;
  /** What the look-up tables hold, each entry as one text. */
  people: readonly string[];
  aliases: readonly string[];
  /** The run in numbers, with the texts of its terms in place of their numbers; in the order of the projector's columns. */
  narrow: Cells | null;
  /** When each idempotency key that stands for this run was stored. */
  requests: readonly number[];
  /** What other sources say of it, by page and position; the record of a run with events has none of it. */
  mirrored: readonly MirroredRow[];
}

/** How a store derives its tables from a record. */
export interface Projector {
  /** Columns of `runs` beside the record itself, and of `narrow_runs`, which is what questions filter, group and sort by. */
  columns: { runs: readonly string[]; narrow_runs: readonly string[] };
  row(run: ActionRun): Cells;
  narrow(run: ActionRun): Cells;
  /** Text as the store holds it. */
  text(text: string): string;
}

/** Compares the tables with a rebuild from the events, in both directions. */
export function checkRun(parts: RunParts, projector: Projector, found: (finding: Finding) => void): void {
  const { run_id } = parts;
  const rebuilt = rebuild(parts, projector);
  if (rebuilt === 'impossible') {
    const says = `run ${run_id} cannot be rebuilt from its events`;
    return found({ fault: 'row_changed', run_id, table: 'runs', says });
  }
  if (rebuilt) {
    checkRow(parts, { rebuilt, columns: projector.columns.runs }, found);
    checkNarrow(parts, { right: rebuilt.narrow, columns: projector.columns.narrow_runs }, found);
  } else if (parts.row) found(unexpected(run_id, 'runs'));
  checkEntries({ run_id, table: 'run_people', right: rebuilt?.people, stored: parts.people }, found);
  checkEntries({ run_id, table: 'run_aliases', right: rebuilt?.aliases, stored: parts.aliases }, found);
  for (const at of parts.requests) {
    if (!rebuilt) found(unexpected(run_id, 'requests'));
    else if (at !== parts.events[0]?.event.at) found(changed({ run_id, table: 'requests', field: 'at' }));
  }
}

/** What the tables must say about a run. */
export interface Rebuilt {
  run: ActionRun;
  row: Cells;
  narrow: Cells;
  /** By role and name, as one text. */
  people: ReadonlyMap<string, PersonName>;
  aliases: Set<string>;
}

/** Null: there are no events, and no row that counts. */
export function rebuild(
  { events, mirrored }: Pick<RunParts, 'events' | 'mirrored'>,
  projector: Projector,
): Rebuilt | null | 'impossible' {
  let run: ActionRun | null = null;
  // Entries stay although a later event changes the record, hence they are collected on the way.
  const people = new Map<string, PersonName>();
  const aliases = new Set<string>();
  try {
    if (events.length === 0) {
      const seen = mirroredRun(mirrored);
      return seen && derived(seen, projector);
    }
    let [os_user, principal, claimed]: unknown[] = [null, null, undefined];
    for (const parts of events) {
      run = foldEvent(run, parsed(parts));
      if (run.os_user !== os_user || run.principal !== principal || run.claimed_principal !== claimed) {
        for (const person of peopleOf(run, projector.text))
          people.set(`${person.role} ${person.name}`, person);
        ({ os_user, principal, claimed_principal: claimed } = run);
      }
      for (const { id } of run.aliases) aliases.add(projector.text(id));
    }
    return run && { run, row: projector.row(run), narrow: projector.narrow(run), people, aliases };
  } catch {
    return 'impossible';
  }
}

/** What the tables must say of a record that came whole, as those of runs that only others saw do. */
export function derived(run: ActionRun, projector: Projector): Rebuilt {
  const people = new Map(
    peopleOf(run, projector.text).map((person) => [`${person.role} ${person.name}`, person]),
  );
  const aliases = new Set(run.aliases.map(({ id }) => projector.text(id)));
  return { run, row: projector.row(run), narrow: projector.narrow(run), people, aliases };
}

function parsed({ event, values, facts }: EventParts): RunEvent {
  const members: JsonObject = {};
  for (const { name, value } of values) members[name] = JSON.parse(value) as Json;
  return {
    kind: event.kind as RunEvent['kind'],
    run_id: event.run_id,
    at: event.at,
    facts: facts ?? (JSON.parse(event.facts) as JsonObject),
    private: members,
  };
}

function checkRow(
  { run_id, row: stored, record }: RunParts,
  { rebuilt: { run, row }, columns }: { rebuilt: Rebuilt; columns: readonly string[] },
  found: (finding: Finding) => void,
): void {
  if (!stored) {
    const says = `run ${run_id} has events but no row in runs`;
    return found({ fault: 'row_missing', run_id, table: 'runs', says });
  }
  const cells = unlike({ right: row, columns }, stored);
  // Written by the same hand, most are the same to the letter.
  const fields = record === JSON.stringify(run) ? [] : differences({ ...run }, objectOf(record));
  for (const field of [...cells, ...fields]) {
    found(changed({ run_id, table: 'runs', field }));
  }
}

function checkNarrow({ run_id, narrow: stored }: RunParts, right: Right, found: (finding: Finding) => void): void {
  const table = 'narrow_runs';
  if (!stored) {
    const says = `run ${run_id} has no row in ${table} where it began`;
    return found({ fault: 'row_missing', run_id, table, says });
  }
  for (const field of unlike(right, stored)) {
    found(changed({ run_id, table, field }));
  }
} // prettier-ignore

interface Right {
  right: Cells;
  columns: readonly string[];
}

/** The columns in which a row is not what it must be. */
function unlike({ right, columns }: Right, stored: Cells): string[] {
  return columns.filter((_, n) => stored[n] !== right[n]);
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
  right: Pick<ReadonlyMap<string, unknown>, 'has' | 'keys'> | undefined | null;
  stored: readonly string[];
}

function checkEntries({ run_id, table, right, stored }: Entries, found: (finding: Finding) => void): void {
  for (const entry of right?.keys() ?? []) {
    if (stored.includes(entry)) continue;
    const says = `run ${run_id} lacks a row in ${table} that its events call for`;
    found({ fault: 'row_missing', run_id, table, field: entry, says });
  }
  for (const entry of stored) if (!right?.has(entry)) found(unexpected(run_id, table, entry));
}

function unexpected(run_id: string, table: NonNullable<Finding['table']>, field?: string): Finding {
  const says = `${table} has a row for run ${run_id} that no event calls for`;
  return { fault: 'row_unexpected', run_id, table, ...(field !== undefined && { field }), says };
}

function changed(place: Required<Pick<Finding, 'run_id' | 'table' | 'field'>>): Finding {
  const says = `${place.field} of run ${place.run_id} in ${place.table} is not what the events say`;
  return { fault: 'row_changed', ...place, says };
}
