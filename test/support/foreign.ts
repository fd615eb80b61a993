import type { ForeignPage, ForeignRecord, ForeignRun } from '../../src/ledger/mirror.ts';
import { blankRecord } from '../../src/ledger/mirrored-run.ts';

export const NOON = Date.UTC(2026, 8, 4, 12);

/** A run as a source tells it; a test says what matters to it. */
export function foreignRun(id: string, record: Partial<ForeignRecord> = {}, identifiers: string[] = []): ForeignRun {
  const started_at = record.started_at ?? NOON;
  return {
    id,
    identifiers: identifiers.map((known) => ({ source: 'cli', endpoint: null, id: known })),
    record: {
      ...blankRecord('shop', started_at),
      organization: 'acme',
      block: 'db',
      action: 'restart',
      status: 'success',
      exit_code: 0,
      hostname: 'laptop-7',
      principal: { kind: 'os', issuer: null, subject: 'bea@example.org', display: 'Bea' },
      started_at,
      ...record,
    },
  };
} // prettier-ignore

export function page(rows: readonly ForeignRun[], more: Partial<ForeignPage> = {}): ForeignPage {
  return { source: 'api', endpoint: 'main', at: NOON + 1_000, rows, ...more };
}
