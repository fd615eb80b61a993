import type { Verb } from './ledger-verbs.ts';

/** What `mirror` can do. */
export const MIRROR_VERBS = {
  sync: {
    meaning: 'Brings in what others reported to a Polycrate API, at once and as far back as is configured.',
    flags: {
      json: { value: null, meaning: 'Prints the result as JSON.' },
      gone: {
        value: null,
        meaning:
          'Looks through the whole list for runs that are not there any more, which else takes hours beside other work.',
      },
    },
  },
  status: {
    meaning: 'Shows how far and how fresh the mirrored history is, and what is missing.',
    flags: { json: { value: null, meaning: 'Prints it as JSON.' } },
  },
} as const satisfies Record<string, Verb>;

export type MirrorVerb = keyof typeof MIRROR_VERBS;
