import { peopleOf, type Person } from '../../src/access/people.ts';
import type { Records } from '../../src/history/records.ts';
import { createApiKeys, createKeyAuthenticator } from '../../src/ledger/api-keys.ts';
import { createApprovalDesk, type ApprovalDesk } from '../../src/runs/approval-desk.ts';
import { NO_TRAIL } from '../../src/runs/trail.ts';

const clock = { now: () => Date.now(), sleep: async () => undefined };

export interface Desk extends ApprovalDesk {
  /** What the terminal and the page do once somebody has shown a key. */
  say(run_id: string, token: string, outcome?: 'approved' | 'declined', reason?: string): Promise<void>;
}

/** Answers on a ledger from this process, where a terminal or a browser for each of them would only take long. */
export function deskOn({ ledger, leases, house, check }: Records, persons: readonly Person[]): Desk {
  const holders = createKeyAuthenticator(createApiKeys(house, clock), { clock, ledger: () => check.id() });
  const desk = createApprovalDesk({
    ...{ ledger, leases, clock, recorder: NO_TRAIL },
    people: async () => peopleOf(persons),
    redaction: { text: (text) => text },
    store: { list: async () => [] },
  });
  return {
    ...desk,
    async say(run_id, token, outcome = 'approved', reason) {
      const held = await holders.authenticate(token);
      if (!held || 'refused' in held) throw new Error('no such key');
      const run = (await ledger.find(run_id))!;
      const given = { run, outcome, approver: held.identity, proof: 'key', via: 'terminal' } as const;
      await desk.answer({ ...given, reason: reason ?? null });
    },
  };
}
