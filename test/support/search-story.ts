import type { Past } from './fill-ledger.ts';

const HOUR = 3_600_000;
const START = Date.UTC(2026, 8, 1, 6);

/** 45 launched runs, one every six hours from 2026-09-01T06:00Z, of which every fifth failed. */
export const COUNTED: Past[] = Array.from({ length: 45 }, (_, n): Past => {
  const failed = n % 5 === 4;
  return {
    organization: n % 9 === 8 ? 'globex' : 'acme',
    workspace: n % 3 === 0 ? 'shop' : 'platform',
    environment: n % 2 === 0 ? 'production' : 'staging',
    block: n % 4 === 0 ? 'cargo.example.com/acme/db' : 'web',
    block_version: n % 4 === 0 ? `1.${n % 3}.0` : null,
    app_version: n % 4 === 0 ? '15' : null,
    block_from: n % 4 === 0 ? 'cargo.example.com/acme/postgres:2.1' : n % 4 === 1 ? 'nginx:1' : null,
    action: n % 6 === 0 ? 'restart' : 'deploy',
    status: failed ? 'failed' : 'success',
    exit_code: failed ? 2 : 0,
    display: ['Alice', 'bob', 'carol'][n % 3]!,
    os_user: n % 3 === 2 ? 'ci' : 'deploy',
    hostname: n % 5 === 0 ? 'bastion' : 'laptop-7',
    client: n % 7 === 0 ? 'ide' : 'chat',
    source: n % 11 === 10 ? 'api' : 'ledger',
    reason: n === 12 ? 'after the Outage of 50%_ last night' : null,
    requested_at: START + n * 6 * HOUR - 60_000,
    delay_ms: 60_000,
    duration_ms: ((n * 7) % 45) * 1_000 + 1_000,
  };
});

export const OTHERS: Past[] = [
  { kind: 'workflow', block: null, action: null, requested_at: START },
  { launched: false, status: 'failed', status_reason: 'not launched: no engine', requested_at: START },
  { launched: false, status: 'cancelled', requested_at: START + HOUR, display: 'dora' },
  { status: 'unknown', requested_at: START - 9 * 24 * HOUR, duration_ms: 3 * HOUR, display: 'Alice' },
  { status: 'cancelled', exit_code: 143, requested_at: START - 9 * 24 * HOUR, display: 'Alice' },
  { status: 'running', requested_at: START - 10 * 24 * HOUR, block: 'stuck', display: 'Alice' },
  { status: 'pending', requested_at: START - 10 * 24 * HOUR, block: 'waiting' },
];
