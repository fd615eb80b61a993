import type { JsonObject } from '../shared/json.ts';
import type { StoredEvent } from './chain.ts';
import type { Pruning } from './prune.ts';
import { soundEvent, type SealedValue } from './sound-event.ts';
import { valuesErasedBy } from './verify-chain.ts';
import { checkRun, type EventParts, type Projector, type RunParts } from './verify-projection.ts';
import { createCollector, type Erased, type VerifyReport } from './verify.ts';

// A ledger that is verified in pieces, side by side. They tell whether all is well, not what is wrong.

/** All that any table has about one run, private values with their salts. */
export interface StoredRun extends RunParts {
  events: readonly { event: StoredEvent; values: readonly SealedValue[] }[];
}

/** What was found in a piece in which all is well. */
export interface SoundPiece {
  runs: number;
  events: number;
  private_values: number;
  /** Values that are gone, and as many as events of erasures tell of. */
  gone: number;
  told: number;
  erased: Erased[];
  erased_total: number;
}

export interface PieceCheck {
  /** False: an event is not what was hashed, or a table not what the events say. */
  isSoundRun(run: StoredRun): boolean;
  /** The same of an event that is about no run, but for what is made of it. */
  isSoundEvent(event: StoredEvent, values: readonly SealedValue[]): boolean;
  result(): SoundPiece;
}

export function createPieceCheck(projector: Projector): PieceCheck {
  const erased = createCollector<Erased>();
  const counts = { runs: 0, events: 0, private_values: 0, gone: 0, told: 0 };
  const add = (event: StoredEvent, values: readonly SealedValue[]): JsonObject | null => {
    const sound = soundEvent(event, values);
    if (!sound) return null;
    const names = sound.erased;
    if (names.length > 0) erased.add({ seq: event.seq, run_id: event.run_id, names: [...names] });
    counts.events += 1;
    counts.private_values += values.length;
    counts.gone += names.length;
    counts.told += valuesErasedBy(event);
    return sound.facts;
  };
  return {
    isSoundEvent: (event, values) => add(event, values) !== null,
    isSoundRun(run) {
      const events: EventParts[] = [];
      for (const { event, values } of run.events) {
        const facts = add(event, values);
        if (!facts) return false;
        events.push({ event, values, facts });
      }
      counts.runs += 1;
      let sound = true;
      checkRun({ ...run, events }, projector, () => (sound = false));
      return sound;
    },
    result: () => ({ ...counts, erased: erased.list, erased_total: erased.total() }),
  };
}

/** What the chain was found to be, by its links. */
export type ChainState = Pick<VerifyReport, 'size' | 'head' | 'root' | 'frontier'>;

/** The report on pieces that are all well. Null: they are not the whole ledger, or more is gone than was told of. */
export function reportOf(
  pieces: readonly SoundPiece[],
  { state, pruning }: { state: ChainState; pruning: Pruning | null },
): VerifyReport | null {
  const sum = (field: 'runs' | 'events' | 'private_values' | 'erased_total' | 'gone' | 'told'): number =>
    pieces.reduce((total, piece) => total + piece[field], 0);
  const events = state.size - (pruning?.size ?? 0);
  if (sum('events') !== events || sum('gone') > sum('told')) return null;
  return {
    ...state,
    checked: { events, runs: sum('runs'), private_values: sum('private_values') },
    findings: [],
    findings_total: 0,
    erased: pieces.flatMap(({ erased }) => erased).sort((a, b) => a.seq - b.seq),
    erased_total: sum('erased_total'),
    pruning,
    from: 0,
  };
}
