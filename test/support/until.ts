import { systemClock } from '../../src/adapters/host/host.ts';

/** Looks until it is as wanted; ends with what it was instead. */
export async function until<T>(
  look: () => Promise<T>,
  wanted: (seen: T) => boolean,
  ms = 20_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (wanted(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not in time, but: ${JSON.stringify(seen)}`);
    await systemClock.sleep(50);
  }
}
