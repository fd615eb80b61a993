import type { Ids } from '../shared/ports.ts';
import type { Call } from './trail-event.ts';

/** What waits is bounded, so that a ledger out of reach does not fill the memory. */
const MOST_CALLS = 1_000;
const MOST_CHARACTERS = 1_000_000;

/** Calls that could not be kept, from the first of them on. */
interface Gap {
  at: number;
  lost: number;
}

/** What is stored as one event. */
export interface Batch {
  own: readonly Call[];
  gap: Gap | null;
  /** With a call of its own that tells of the gap. */
  calls(): Call[];
}

export interface CallBuffer {
  add(call: Call): void;
  take(): Batch;
  /** A batch that was not stored; what no longer fits is counted as lost. */
  giveBack(batch: Batch): void;
  empty(): boolean;
  full(): boolean;
  count(): number;
}

export function createCallBuffer(ids: Ids): CallBuffer {
  let calls: Call[] = [];
  let characters = 0;
  let gap: Gap | null = null;

  const full = (): boolean => calls.length >= MOST_CALLS || characters >= MOST_CHARACTERS;
  const lose = (at: number, lost: number): void => {
    gap = { at: gap?.at ?? at, lost: (gap?.lost ?? 0) + lost };
  };
  const add = (call: Call): void => {
    if (full()) return lose(call.at, 1);
    calls.push(call);
    characters += call.sent.length;
  };
  return {
    add,
    take() {
      const taken = { own: calls, gap };
      [calls, characters, gap] = [[], 0, null];
      return { ...taken, calls: () => [...taken.own, ...(taken.gap ? [told(taken.gap, ids)] : [])] };
    },
    giveBack(batch) {
      // The oldest first: the gap is at the end, wherever it comes from.
      const newer = calls;
      [calls, characters] = [[], 0];
      for (const call of [...batch.own, ...newer]) add(call);
      if (batch.gap) lose(batch.gap.at, batch.gap.lost);
    },
    empty: () => calls.length === 0 && gap === null,
    full,
    count: () => calls.length + (gap?.lost ?? 0),
  };
}

function told({ at, lost }: Gap, ids: Ids): Call {
  return {
    id: ids.next(),
    at,
    tool: 'trail',
    outcome: 'failed',
    code: 'ledger_unavailable',
    duration_ms: 0,
    run_id: null,
    principal: null,
    client: null,
    sent: JSON.stringify({ lost }),
  };
}
