import type { Verb } from './ledger-verbs.ts';

/** What `policy` can do. */
export const POLICY_VERBS = {
  test: {
    meaning: 'Checks a policy file and tries it on a table of expectations; exit code 1 if one is not met.',
    argument: 'FILE',
    flags: {
      expect: { value: 'FILE', meaning: 'Expectations of a file of their own, besides those in the policy.' },
    },
  },
} as const satisfies Record<string, Verb>;
