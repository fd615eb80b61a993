import type { Verb } from './ledger-verbs.ts';

const JSON_FLAG = { value: null, meaning: 'Prints the result as JSON.' } as const;

/** What `keys` can do. */
export const KEY_VERBS = {
  create: {
    meaning: 'Makes a key and shows it, once.',
    flags: {
      name: { value: 'NAME', meaning: 'Whose it is, or what for.' },
      role: {
        value: 'ROLE',
        meaning:
          'reader (default), runner, approver, admin, or machine for a runner; may be given several times.',
        many: true,
      },
      for: {
        value: 'PLACE',
        meaning: 'organization, or organization/workspace, that it sees; several times; default everything.',
        many: true,
      },
      expires: { value: 'WHEN', meaning: 'A duration such as 90d (default), a date, or never.' },
      json: JSON_FLAG,
    },
  },
  list: { meaning: 'Lists the keys, without their secrets.', flags: { json: JSON_FLAG } },
  revoke: {
    meaning: 'Ends a key: servers refuse it from the next second on.',
    argument: 'ID',
    flags: { json: JSON_FLAG },
  },
} as const satisfies Record<string, Verb>;

export type KeyVerb = keyof typeof KEY_VERBS;
