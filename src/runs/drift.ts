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
  const drift: Drift[] = [];
  // A report to a Polycrate API names the version and the configuration and nothing else.
  const told = (recorded: string | null): boolean => recorded !== null || run.source === 'ledger';
  const compare = (what: Drift['what'], recorded: string | null, now: string | null): void => {
    if (recorded !== now && told(recorded)) drift.push({ what, recorded: short(recorded), now: short(now) });
  };
  // Of a run by others only the version may be known.
  if (!run.pins) {
    const version = { what: 'block_version', recorded: run.block_version, now: plan.block.version } as const;
    const other = run.block_version !== null && run.block_version !== plan.block.version;
    return [{ what: 'pins', recorded: null, now: short(plan.pins.block) }, ...(other ? [version] : [])];
  }
  compare('block', run.pins.block, plan.pins.block);
  if (run.block_version !== plan.block.version && told(run.block_version)) {
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

/** Of the names of keys in one entry, and of all entries where there are no pages. */
const KEYS_CHARACTERS = 2_000;

/** With so few keys in an entry that it is small: the others are in entries of their own. */
export function inSmallEntries(drift: readonly Drift[]): Drift[] {
  return drift.flatMap((entry) => {
    const portions: string[][] = [[]];
    let room = KEYS_CHARACTERS;
    for (const key of entry.keys ?? []) {
      room -= key.length;
      if (room < 0 && portions.at(-1)!.length > 0) {
        portions.push([]);
        room = KEYS_CHARACTERS - key.length;
      }
      portions.at(-1)!.push(key);
    }
    return portions.map((keys) => ({ ...entry, ...(entry.keys && { keys }) }));
  });
}

/** As answers tell it that have no pages: how many keys are not named there is said. */
export function inShort(drift: readonly Drift[]): Record<string, unknown>[] {
  return drift.map((entry) => {
    const [first] = inSmallEntries([entry]);
    const more = (entry.keys?.length ?? 0) - (first?.keys?.length ?? 0);
    return { ...first, ...(more > 0 && { more_keys: more, all_keys: 'plan_action with retrigger_of' }) };
  });
}

/** What the record does not tell, so that nobody can say whether it is the same today; null: it tells all. */
export function notCompared({ source, pins, block_version }: ActionRun): string | null {
  if (source === 'ledger' || !pins) return null;
  const missing = [
    ...(block_version === null ? ['the block version'] : []),
    ...(pins.block === null ? ['the files of the block'] : []),
    ...(pins.inventory === null ? ['the inventory'] : []),
    ...(pins.image === null ? ['the image'] : []),
  ];
  if (missing.length === 0) return null;
  return `not recorded by whoever ran it, so not compared: ${missing.join(', ')}`;
}
