import type { LedgerStatus } from '../runs/run-ledger.ts';
import { iso } from './present-run.ts';
import type { Services } from './services.ts';

/** What a history answer rests on, per source: how far, how fresh, what is missing. */
export async function coverageOf({ ledger }: Pick<Services, 'ledger'>): Promise<Record<string, unknown>[]> {
  return coverage(await ledger.status());
}

export function coverage(status: LedgerStatus): Record<string, unknown>[] {
  return [
    {
      source: 'ledger',
      holds: 'runs started through this ledger',
      newest: iso(status.newest_at),
      missing: 'runs that people or CI started elsewhere',
    },
  ];
}
