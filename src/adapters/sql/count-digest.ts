import { randomInt } from 'node:crypto';
import { CUBES, KEYS, type CubeColumn } from './cubes.ts';

// Whether counts are right, without counting anew: a sum over the counts, and the same sum over the runs. Each count
// is weighed by a hash of its place under a secret that is new for each verification, so that nobody can choose
// changes that cancel out. Memory does not grow with the ledger, nothing is sorted.

/** A secret for one verification, which several threads may share. */
export type Secret = readonly [number, number];

/** For each cube two sums modulo 2^32. */
export type CountDigest = number[];

export function newSecret(): Secret {
  return [randomInt(2 ** 32), randomInt(2 ** 32)];
}

export function emptyDigest(): CountDigest {
  return CUBES.flatMap(() => [0, 0]);
}

export function addDigests(digests: readonly CountDigest[]): CountDigest {
  return emptyDigest().map((_, index) => digests.reduce((sum, digest) => (sum + digest[index]!) | 0, 0));
}

/** The ids of the cubes whose sums differ. */
export function differing(one: CountDigest, other: CountDigest): number[] {
  return CUBES.flatMap(({ id }, n) =>
    one[2 * n] === other[2 * n] && one[2 * n + 1] === other[2 * n + 1] ? [] : [id],
  );
}

/** Columns of `narrow_runs` in the order in which `addRun` takes them. */
export const DIGEST_COLUMNS = [
  'start', 'state', ...new Set(CUBES.flatMap(({ columns }) => columns)),
] as const; // prettier-ignore

const PLACES = CUBES.map(({ columns }) =>
  columns.map((column: CubeColumn) => DIGEST_COLUMNS.indexOf(column)),
);

/** Adds a run to the sums of every cube. */
export function addRun(digest: CountDigest, secret: Secret, run: readonly number[]): void {
  const [start, state] = run as [number, number];
  for (let n = 0; n < CUBES.length; n += 1) {
    const { id, slot_ms } = CUBES[n]!;
    const places = PLACES[n]!;
    const a = places.length > 0 ? run[places[0]!]! : 0;
    const b = places.length > 1 ? run[places[1]!]! : 0;
    const c = places.length > 2 ? run[places[2]!]! : 0;
    add(digest, n, { secret, place: [id, a, b, c, Math.floor(start / slot_ms), state], runs: 1 });
  }
}

/** A row of `run_counts`: cube, a, b, c, slot, state, runs. False: there is no such cube. */
export function addCount(digest: CountDigest, secret: Secret, row: readonly number[]): boolean {
  const n = CUBES.findIndex(({ id }) => id === row[0]);
  if (n < 0) return false;
  add(digest, n, { secret, place: row, runs: row[KEYS.length + 3]! });
  return true;
}

function add(
  digest: CountDigest,
  n: number,
  { secret, place, runs }: { secret: Secret; place: readonly number[]; runs: number },
): void {
  for (let half = 0; half < 2; half += 1) {
    const weight = mixed(secret[half]!, place);
    digest[2 * n + half] = (digest[2 * n + half]! + Math.imul(weight, runs)) | 0;
  }
}

/** Six whole numbers to 32 bits (the steps of MurmurHash3). */
function mixed(seed: number, place: readonly number[]): number {
  let h = seed | 0;
  for (let i = 0; i < 6; i += 1) {
    let k = Math.imul(place[i]!, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
