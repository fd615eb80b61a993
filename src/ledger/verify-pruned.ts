import type { CheckpointKeys } from './checkpoint.ts';
import { checkPruning, type Pruning } from './prune.ts';
import { rollupDigest, type Rollup } from './rollup.ts';
import type { Finding, KnownState, VerifyTask } from './verify.ts';

/** Where a ledger's chain begins, with what is known about the part that is gone. */
export interface PrunedLedger {
  pruning: Pruning | null;
  rollups: readonly Rollup[];
}

/** What earlier runs were summed up to must be what the event says, and known states at the cut its tree. */
export function checkPruned(
  { pruning, rollups }: PrunedLedger,
  known: readonly KnownState[],
  found: (finding: Finding) => void,
): void {
  if (!pruning) {
    if (rollups.length === 0) return;
    const says = `rollups has ${rollups.length} rows, but no event says that runs were pruned`;
    return found({ fault: 'row_unexpected', table: 'rollups', says });
  }
  const { rows, runs, digest } = pruning.rollups;
  const total = rollups.reduce((sum, row) => sum + row.runs, 0);
  if (rollups.length !== rows || total !== runs || rollupDigest(rollups) !== digest) {
    const says = `rollups has ${rollups.length} rows for ${total} runs that are not the ${rows} rows for ${runs} runs which the pruning left`;
    found({ fault: 'row_changed', table: 'rollups', says });
  }
  for (const { size, head, root, name } of known) {
    if (size !== pruning.size || (head === pruning.head && root === pruning.root)) continue;
    const says = `the first ${size} events, which were pruned, are not those that ${name} saw`;
    found({ fault: 'anchor_mismatch', seq: size, table: 'events', says });
  }
}

/** Where to go on: never before the events that are there. */
export function beginningOf(from: VerifyTask['from'], pruning: Pruning | null): VerifyTask['from'] {
  return from && pruning && from.size <= pruning.size ? null : from;
}

export interface PruningVerdict {
  findings: Finding[];
  /** What cannot be told about the pruning; one sentence, or null. */
  not_provable: string | null;
}

/** Whether the pruning was allowed is in its signature: whoever can write the ledger can write the event. */
export function judgePruning(
  pruning: Pruning | null,
  { ledger, keys, anchored }: { ledger: string; keys: CheckpointKeys; anchored: number | null },
): PruningVerdict {
  if (!pruning) return { findings: [], not_provable: null };
  const { size, key_id } = pruning;
  const verdict = checkPruning(pruning, keys);
  if (verdict === 'invalid' || (verdict === 'valid' && pruning.ledger !== ledger)) {
    const says = `events 1 to ${size} are gone, and what says that they were pruned was not signed for this ledger`;
    return {
      findings: [{ fault: 'pruning_forged', seq: 1, to_seq: size, table: 'events', says }],
      not_provable: null,
    };
  }
  const not_provable =
    verdict === 'unknown_key'
      ? `whether events 1 to ${size} were pruned by who may: that was signed with the key ${key_id.slice(0, 12)}…, which is not the one at hand`
      : anchored !== null && anchored < size
        ? `whether the anchor of ${anchored} events agrees: events 1 to ${size} were pruned, and only an anchor of that many or more can be compared`
        : null;
  return { findings: [], not_provable };
}
