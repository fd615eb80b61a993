import type { ActionRun } from '../../runs/action-run.ts';
import type { BlockVersion } from '../../history/versions.ts';
import type { Seen } from './unit-runs.ts';
import type { Ground, Named, Selection, Version } from './units.ts';

/** A version with what its first success says of when it arrived. */
export interface Arrived extends Version {
  success: Seen | null;
  /** Of the first success, else of the first run that is there at all. */
  at: number;
}

/** What was read of some grounds. */
export interface Traced {
  grounds: ReadonlyMap<string, readonly Arrived[]>;
  selection: Selection;
}

export function arrived(version: Version): Arrived {
  let success: Seen | null = null;
  for (const { unit, first_success: start } of version.units) {
    if (start !== null && start < (success?.start ?? Infinity)) success = { unit, start };
  }
  const at = success?.start ?? Math.min(...version.units.map(({ first_run }) => first_run));
  return { ...version, success, at };
}

export function groundOf({ place, block }: Ground): string {
  return `${place} ${block}`;
}

export function succeeded({ all }: Version): boolean {
  return all.some(({ first_success }) => first_success !== null);
}

/** The other versions of the same block in the same workspace that succeeded. */
export function others({ grounds }: Traced, one: Arrived): Arrived[] {
  const all = grounds.get(groundOf(one)) ?? [];
  return all.filter((other) => other.release !== one.release && succeeded(other));
}

export function runOf(record: string | null): ActionRun | null {
  return record === null ? null : (JSON.parse(record) as ActionRun);
}

export function versionNamed(seen: Seen | null, names: ReadonlyMap<number, Named>): BlockVersion | null {
  const name = seen && names.get(seen.unit);
  return name ? { version: name.version, app_version: name.app_version } : null;
}
