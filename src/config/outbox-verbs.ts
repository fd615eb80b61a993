import type { Verb } from './ledger-verbs.ts';

/** What `outbox` can do. */
export const OUTBOX_VERBS = {
  list: {
    meaning: 'Shows runs that are still to be reported to a Polycrate API, and why they are not.',
    flags: { json: { value: null, meaning: 'Prints them as JSON.' } },
  },
  retry: {
    meaning: 'Tries again to report what was given up.',
    flags: {
      run: { value: 'ID', meaning: 'Only this run; may be given several times.', many: true },
      json: { value: null, meaning: 'Prints the result as JSON.' },
    },
  },
} as const satisfies Record<string, Verb>;

export type OutboxVerb = keyof typeof OUTBOX_VERBS;
