import type { Plan } from '../actions/plan.ts';
import type { ActionRun } from './action-run.ts';

/** One thing that is not as it was when the recorded run started. Digests are shortened for reading. */
export interface Drift {
  what: 'block' | 'block_version' | 'config' | 'inventory' | 'image' | 'pins';
  recorded: string | null;
  now: string | null;
  /** For config: the top-level keys that were changed, added or removed. */
  keys?: string[];
}

/** Compares content, not commits: a changed commit alone is no drift. */
export function driftBetween(run: ActionRun, plan: Plan): Drift[] {
  if (!run.pins) return [{ what: 'pins', recorded: null, now: short(plan.pins.block) }];
  const drift: Drift[] = [];
  const compare = (what: Drift['what'], recorded: string | null, now: string | null): void => {
    if (recorded !== now) drift.push({ what, recorded: short(recorded), now: short(now) });
  };
  compare('block', run.pins.block, plan.pins.block);
  if (run.block_version !== plan.block.version) {
    drift.push({ what: 'block_version', recorded: run.block_version, now: plan.block.version });
  }
  if (run.pins.config !== plan.pins.config) {
    const keys = changedKeys(run.pins.config_keys, plan.pins.config_keys);
    drift.push({ what: 'config', recorded: short(run.pins.config), now: short(plan.pins.config), keys });
  }
  compare('inventory', run.pins.inventory, plan.pins.inventory);
  // The image that really ran is recorded at its start; the pin may predate its pull.
  compare('image', run.executor?.image_digest ?? run.pins.image, plan.pins.image);
  return drift;
}

function changedKeys(before: Record<string, string>, after: Record<string, string>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => before[key] !== after[key]).sort();
}

function short(digest: string | null): string | null {
  return digest === null ? null : digest.replace(/^sha256:/, '').slice(0, 12);
}
