import { iso } from './present-run.ts';

/** What a history answer rests on, per source: how far, how fresh (epoch ms), what is missing. */
export function coverage({ newest_at }: { newest_at: number | null }): Record<string, unknown>[] {
  return [
    {
      source: 'ledger',
      holds: 'runs started through this ledger',
      newest: iso(newest_at),
      missing: 'runs that people or CI started elsewhere',
    },
  ];
}
