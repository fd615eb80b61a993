import type { Row } from '../runs/row.ts';
import type { Json, JsonObject } from '../shared/json.ts';
import type { StoredEvent } from './chain.ts';
import { CALLS_RECORDED, callRows } from '../runs/trail-event.ts';
import type { PlainValue } from './verify-projection.ts';
import type { Finding } from './verify.ts';

/** Everything that is stored under one `seq` about calls. */
export interface CallParts {
  seq: number;
  /** Null: rows for an event that is not there, or that records no calls. */
  event: Pick<StoredEvent, 'kind' | 'facts'> | null;
  values: readonly PlainValue[];
  rows: readonly Row[];
}

/** Compares the rows of `calls` with a rebuild from their event, in both directions. */
export function checkCalls(
  parts: CallParts,
  storable: (text: string) => string,
  found: (finding: Finding) => void,
): void {
  const right = rebuild(parts, storable);
  if (!right) {
    const says = `the calls of event ${parts.seq} cannot be rebuilt`;
    return found({ fault: 'row_changed', seq: parts.seq, table: 'calls', says });
  }
  const rows = new Map(parts.rows.map((row) => [row['position'], row]));
  const called = new Set(right.map((row) => row['position']));
  for (const row of right) {
    const stored = rows.get(row['position']);
    if (stored) checkRow(parts.seq, { row, stored }, found);
    else found(fault(parts.seq, row, 'row_missing', 'is missing in calls'));
  }
  for (const row of parts.rows) {
    if (called.has(row['position'])) continue;
    found(fault(parts.seq, row, 'row_unexpected', 'is in calls, but in no event'));
  }
}

function rebuild({ event, values }: CallParts, storable: (text: string) => string): Row[] | null {
  if (event?.kind !== CALLS_RECORDED) return [];
  try {
    const members = values.map(({ name, value }) => [name, JSON.parse(value) as Json]);
    const facts = JSON.parse(event.facts) as JsonObject;
    return callRows({ facts, private: Object.fromEntries(members) as JsonObject }, storable);
  } catch {
    return null;
  }
}

function checkRow(seq: number, { row, stored }: Record<'row' | 'stored', Row>, found: (finding: Finding) => void): void {
  for (const field of Object.keys(row).filter((column) => stored[column] !== row[column])) {
    const says = `${field} of call ${row['position']} of event ${seq} in calls is not what the event says`;
    found({ fault: 'row_changed', seq, table: 'calls', field, says });
  }
} // prettier-ignore

function fault(seq: number, { position }: Row, what: Finding['fault'], how: string): Finding {
  return { fault: what, seq, table: 'calls', says: `call ${position} of event ${seq} ${how}` };
}
