import { describe, expect, it } from 'vitest';
import { createKeyAuthenticator, requestersOf, type ApiKey } from '../../src/ledger/api-keys.ts';

const NOW = Date.UTC(2026, 8, 1);
const LEDGER = 'a-ledger';
const keyOf = (id: string, rest: Partial<ApiKey> = {}): ApiKey => ({
  id, name: id, hash: '', roles: ['runner'], scope: null, created_at: NOW, expires_at: null, revoked_at: null, ...rest,
}); // prettier-ignore

describe('whether who asked for a run may still have it', () => {
  it('is looked at anew for a key that was made a moment ago at another server', async () => {
    const keys = [keyOf('ada')];
    const ports = { clock: { now: () => NOW }, ledger: async () => LEDGER };
    const holders = createKeyAuthenticator({ list: async () => [...keys] }, ports);
    const requesters = requestersOf(holders);
    const refusalOf = (subject: string, max_age_ms = 60_000): Promise<string | null> =>
      requesters.refusal({ kind: 'key', issuer: LEDGER, subject, display: subject }, max_age_ms);
    expect(await refusalOf('ada')).toBeNull();
    keys.push(keyOf('bea'));
    expect(await refusalOf('bea')).toBeNull();
    expect(await refusalOf('eve')).toContain('is not known any more');
    keys[0] = keyOf('ada', { revoked_at: NOW });
    expect(await refusalOf('ada', 0)).toContain('was revoked');
  });
});
