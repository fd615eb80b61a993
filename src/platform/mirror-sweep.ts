import type { RowSeen } from '../ledger/mirror.ts';
import type { PlacedPage } from './mirror-pages.ts';
import type { MirrorPosition } from './mirror-position.ts';

// The newest runs are compared with what is known of them at each sync. All others are looked for now and then, a few pages
// at a time: what the list does not show any more is asked for once by its id, and then told to be gone.

/** A look through the whole list begins so long after the last one ended. */
export const SWEEP_EVERY_MS = 24 * 60 * 60_000;
/** Of one sync: 100,000 runs take about six hours where there is one a minute. */
export const SWEEP_PAGES = 3;

export function isSweepDue({ sweep, swept_at, gaps }: MirrorPosition, now: number): boolean {
  if (gaps.length > 0) return false;
  return sweep !== null || (swept_at !== null && now - swept_at > SWEEP_EVERY_MS);
}

/** Times between which the page must show every run that is still there; null: it does not tell. */
export function spanOf(page: PlacedPage, before: number | null, floor: number | null): { from: number; to: number } | null {
  const times = page.items.map(({ created_at }) => created_at);
  const [first, last] = [times[0] ?? null, times.at(-1) ?? null];
  if (first === null || last === null) return null;
  const from = page.more ? last : (floor ?? 0);
  return { from: Math.min(from, last), to: Math.max(before ?? first, first) };
} // prettier-ignore

/** Which of the known runs to ask for: those that the list hides, and those that it shows again. */
export function suspects(known: readonly RowSeen[], shown: ReadonlySet<string>): string[] {
  return known.filter(({ id, gone }) => gone === shown.has(id)).map(({ id }) => id);
}
