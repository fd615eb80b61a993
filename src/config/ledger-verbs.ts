/** A flag of one verb; `value` names what it takes, null: it is a switch. */
export interface OwnFlag {
  value: string | null;
  meaning: string;
  /** May be given several times; the values are joined with line breaks. */
  many?: true;
}

/** What a command can do, for commands that can do several things. */
export interface Verb {
  meaning: string;
  /** What it takes besides flags, exactly one. */
  argument?: string;
  flags: Readonly<Record<string, OwnFlag>>;
}

const UPKEEP_VERBS = {
  erase: {
    meaning: 'Erases what the ledger holds about a person; without --yes or an answer it only tells what.',
    flags: {
      subject: { value: 'NAME', meaning: 'Any of their names: principal, display name or OS user.' },
      reason: { value: 'TEXT', meaning: 'Why, for the event that records the erasure.' },
      logs: { value: null, meaning: 'Deletes the logs of the runs that the person asked for, too.' },
      yes: { value: null, meaning: 'Does it without asking.' },
      json: { value: null, meaning: 'Prints the result as JSON.' },
    },
  },
  prune: {
    meaning: 'Takes out the oldest events and keeps sums; without --yes or an answer it only tells which.',
    flags: {
      before: {
        value: 'TIME',
        meaning: 'ISO 8601, or a duration back from now; default POLYCRATE_MCP_RETENTION.',
      },
      yes: { value: null, meaning: 'Does it without asking.' },
      json: { value: null, meaning: 'Prints the result as JSON.' },
    },
  },
  backup: {
    meaning: 'Copies ledger, its key and logs into a new folder, while servers go on.',
    argument: 'FOLDER',
    flags: { json: { value: null, meaning: 'Prints the result as JSON.' } },
  },
  restore: {
    meaning: 'Puts a backup in the place of the ledger, which stays beside it; no server may have it open.',
    argument: 'FOLDER',
    flags: {
      force: { value: null, meaning: 'Also over a newer ledger, or another one.' },
      json: { value: null, meaning: 'Prints the result as JSON.' },
    },
  },
} as const satisfies Record<string, Verb>;
const several = (value: string, meaning: string) => ({ value, meaning, many: true }) as const;
const KEY = { value: 'FILE', meaning: "The ledger's public key (PEM), as its owner gave it to you." };

const BUNDLE_VERBS = {
  export: {
    meaning:
      'Writes chosen runs with their proofs into a folder, signed, for an auditor. Ends with 0 written, 3 tampered.',
    flags: {
      out: { value: 'FILE', meaning: 'The folder to make.' },
      run: several('ID', 'This run; may be given several times, as each filter below.'),
      organization: several('NAME', 'Runs of this organization.'),
      workspace: several('NAME', 'Runs in this workspace.'),
      environment: several('NAME', 'Runs in this environment.'),
      block: several('NAME', 'Runs of this block.'),
      action: several('NAME', 'Runs of this action.'),
      status: several('STATUS', 'Runs that ended so.'),
      user: several('NAME', 'Runs of this person.'),
      since: { value: 'TIME', meaning: 'Runs that started then or later: ISO 8601, 2026-10, 7d.' },
      until: { value: 'TIME', meaning: 'Runs that started before.' },
      logs: { value: null, meaning: 'With the logs of the runs.' },
      'without-people': { value: null, meaning: 'Without names and texts of people; all of it can still be verified.' },
      json: { value: null, meaning: 'Prints the manifest as JSON.' },
    },
  },
  'verify-bundle': {
    meaning:
      'Checks an exported bundle without a ledger. Ends with 0 sound, 3 tampered, 4 key unknown, 1 could not check.',
    argument: 'FOLDER',
    flags: { key: KEY, json: { value: null, meaning: 'Prints the result as JSON.' } },
  },
  import: {
    meaning:
      'Brings the runs of a bundle into this ledger as history. Ends with 0 done, 3 tampered, 4 key unknown; with 3 and 4 nothing was imported.',
    argument: 'FOLDER',
    flags: { key: KEY, json: { value: null, meaning: 'Prints the result as JSON.' } },
  },
} as const satisfies Record<string, Verb>; // prettier-ignore

/** What `ledger` can do. */
export const LEDGER_VERBS = {
  verify: {
    meaning:
      'Checks every event and table. Ends with 0 sound, 3 tampered, 4 not provable, 1 could not check, 2 wrong usage.',
    flags: {
      anchor: {
        value: 'FILE',
        meaning:
          'A checkpoint that was kept elsewhere, also a folder of them or git:REPO: shows a cut or old ledger.',
      },
      incremental: { value: null, meaning: 'Goes on from the last verification that found nothing.' },
      json: { value: null, meaning: 'Prints the result as JSON.' },
    },
  },
  checkpoint: {
    meaning: 'Verifies what is new and prints a signed checkpoint, to be kept elsewhere as an anchor.',
    flags: {
      out: {
        value: 'FILE',
        meaning: 'Writes it there, a folder gets a file for each; an older anchor there is checked first.',
      },
      'git-note': {
        value: 'REPO',
        meaning: 'Writes it as a git note (refs/notes/polycrate-mcp) on the current commit.',
      },
      json: { value: null, meaning: 'Prints it even if it is written elsewhere.' },
    },
  },
  ...BUNDLE_VERBS,
  printed: {
    meaning: 'Names the runs whose output had the secret on stdin. Ends with 0 none, 3 some.',
    flags: {},
  },
  ...UPKEEP_VERBS,
} as const satisfies Record<string, Verb>;

export type LedgerVerb = keyof typeof LEDGER_VERBS;
