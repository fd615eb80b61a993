import type { Json } from '../shared/json.ts';
import type { Erasure } from './erase.ts';
import type { Cut, Pruning } from './prune.ts';
import type { Rollup } from './rollup.ts';

/** Events about the ledger itself; their `run_id` is the empty text. */
export const PERSON_ERASED = 'person_erased';
export const UPKEEP_EVENT_KINDS = [PERSON_ERASED, 'ledger_pruned'] as const;

export interface ErasureRequest {
  /** Compared with every name that private values hold, without regard to case. */
  subject: string;
  /** The logs of the person's runs will be deleted too, hence their digests are erased. */
  logs: boolean;
  /** For the event; of the operator, typed and observed. */
  at: number;
  by: { [name: string]: Json };
}

/** What there is about a person. */
export interface ErasureSurvey extends Omit<Erasure, 'logs'> {
  /** All names under which the person was found, the given one included, in lower case. */
  names: string[];
  /** Runs that the person asked for. */
  requested: string[];
  /** Events whose facts hold one of the names as a word: they are hashed, so they stay. */
  facts: number;
}

export interface UpkeepProgress {
  step: 'values' | 'erasing' | 'pruning' | 'cleaning' | 'copying';
  done: number;
  total: number;
}

export type OnUpkeep = (progress: UpkeepProgress) => void;

/** Work that takes something out of a ledger; each method is one transaction, whole or not at all. */
export interface LedgerUpkeep {
  /** True for a name of an erased person: their history does not come back from outside. */
  isErased(name: string): Promise<boolean>;
  /** Looks and changes nothing. */
  survey(request: Pick<ErasureRequest, 'subject' | 'logs'>, onProgress?: OnUpkeep): Promise<ErasureSurvey>;
  /** Takes the values out of event and record, and chains `person_erased`, which says how many they were. */
  erase(request: ErasureRequest, onProgress?: OnUpkeep): Promise<ErasureSurvey>;
  /** What may go of the events before a time. Looks and changes nothing. */
  planPrune(before: number, onProgress?: OnUpkeep): Promise<PrunePlan>;
  /** Chains `ledger_pruned` and takes out what was planned. `refused` if the ledger went on in a way that forbids it. */
  prune(request: PruneRequest, onProgress?: OnUpkeep): Promise<void>;
  /** The newest pruning. */
  pruned(): Promise<Pruning | null>;
  /** Overwrites what was deleted wherever the ledger's own files still hold it. May be repeated. */
  clean(after: 'erasing' | 'pruning', onProgress?: OnUpkeep): Promise<Cleaning>;
}

/** What a pruning would take out, or has. */
export interface PrunePlan extends Pick<Pruning, 'size' | 'head' | 'root' | 'frontier' | 'tombstones'> {
  /** Events that go now; those of earlier prunings are in `size` too. 0: nothing can go. */
  events: number;
  runs: string[];
  /** All of the table, what is there already included. */
  rollups: Rollup[];
  held: Cut['held'];
}

export interface PruneRequest extends Pick<ErasureRequest, 'at' | 'by'> {
  plan: PrunePlan;
  pruning: Pruning;
}

export interface Cleaning {
  /** False: something was in the way, and the files still hold what was deleted. */
  done: boolean;
  /** What else may hold it, out of the ledger's reach; a sentence each. */
  remains: string[];
}
