import { afterEach, beforeEach } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { LedgerKind } from './run-ledger.contract.ts';

/** An empty ledger for each test of a suite, and connections to it, which end with the test. */
export function usePlace(kind: Pick<LedgerKind, 'place' | 'connect'>): { connect(): Records; at(): string } {
  let place: Awaited<ReturnType<LedgerKind['place']>>;
  let open: Records[];
  beforeEach(async () => {
    [place, open] = [await kind.place(), []];
  });
  afterEach(async () => {
    await Promise.all(open.map((one) => one.close()));
    await place.remove();
  });
  return {
    connect() {
      const connected = kind.connect(place.at);
      open.push(connected);
      return connected;
    },
    at: () => place.at,
  };
}
