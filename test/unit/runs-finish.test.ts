import { describe, expect, it } from 'vitest';
import { judge } from '../../src/runs/finish.ts';
import type { Ending } from '../../src/runs/executor.ts';
import { isOrphan } from '../../src/runs/supervisor.ts';
import type { Lease } from '../../src/runs/run-ledger.ts';

const ending = (parts: Partial<Ending>): Ending => ({
  exit_code: 0,
  finished_at: 1,
  out_of_memory: false,
  error: null,
  ...parts,
});

describe('the status of an ended run', () => {
  it.each([
    [{}, null, 'success'],
    [{ exit_code: 7 }, null, 'failed'],
    [{ exit_code: 137, out_of_memory: true }, null, 'failed'],
    [{ exit_code: 143 }, 'cancelled', 'cancelled'],
    // A process may answer SIGTERM with 0; it did not do what it was started for.
    [{ exit_code: 0 }, 'cancelled', 'cancelled'],
    [{ exit_code: 143 }, 'timeout', 'failed'],
    [{ exit_code: null }, null, 'unknown'],
  ] as const)('%j, stopped: %s → %s', (facts, stopping, status) => {
    expect(judge(ending(facts), stopping).status).toBe(status);
  });

  it('says why for everything but a plain success or failure', () => {
    expect(judge(ending({}), null).status_reason).toBeNull();
    expect(judge(ending({ exit_code: 1, out_of_memory: true }), null).status_reason).toContain('memory');
    expect(judge(ending({}), 'timeout').status_reason).toContain('time limit');
    expect(judge(ending({ exit_code: null }), null).status_reason).toContain('nobody saw');
  });
});

describe('an orphaned lease', () => {
  const lease = (expires_at: number): Lease => ({
    run_id: 'r',
    owner: { host: 'h', boot_id: 'b', pid_ns: 'n', pid: 1, pid_start: 's' },
    fence: 1,
    executor: 'docker',
    phase: 'running',
    ref: null,
    expires_at,
    timeout_ms: null,
    cancel_requested: false,
  });
  const seenAs = (state: 'alive' | 'dead' | 'unseen', expires_at: number): boolean =>
    isOrphan({ processes: { self: () => lease(0).owner, state: () => state } }, lease(expires_at), 100);

  it.each([
    // A living process keeps its lease however late its renewal is.
    ['alive', 50, false],
    ['alive', 150, false],
    ['dead', 150, true],
    ['unseen', 150, false],
    ['unseen', 50, true],
    // Given up on purpose.
    ['alive', 0, true],
  ] as const)('owner %s, expires at %i of 100: %s', (state, expires_at, orphan) => {
    expect(seenAs(state, expires_at)).toBe(orphan);
  });
});
