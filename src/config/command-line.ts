import { parseArgs } from 'node:util';
import { AppError } from '../shared/errors.ts';
import { didYouMean } from './nearest.ts';
import { KEY_VERBS } from './key-verbs.ts';
import { LEDGER_VERBS, type OwnFlag, type Verb } from './ledger-verbs.ts';
import { MIRROR_VERBS } from './mirror-verbs.ts';
import { OUTBOX_VERBS } from './outbox-verbs.ts';
import { POLICY_VERBS } from './policy-verbs.ts';
import { flagOf, SETTINGS } from './settings.ts';

export type { KeyVerb } from './key-verbs.ts';
export type { LedgerVerb } from './ledger-verbs.ts';
export type { MirrorVerb } from './mirror-verbs.ts';
export type { OutboxVerb } from './outbox-verbs.ts';

interface CommandEntry {
  meaning: string;
  arguments: string;
  /** The first argument is one of these, each with flags of its own. */
  verbs?: Readonly<Record<string, Verb>>;
  /** Of a command without verbs. */
  flags?: Readonly<Record<string, OwnFlag>>;
}

const REASON = { reason: { value: 'TEXT', meaning: 'Why; it is recorded.' } } as const;

/** What the program can be asked to do; `stdio` is what it does without a command. */
export const COMMANDS = {
  stdio: { meaning: 'Serves MCP on stdin and stdout.', arguments: '' },
  demo: { meaning: 'Shows a run and its record on a small workspace of its own.', arguments: '' },
  doctor: {
    meaning: 'Checks settings, workspaces, engine and ledger, and says what to mend.',
    arguments: '',
  },
  ledger: {
    meaning: 'Proves that the ledger is whole, and keeps it.',
    arguments: 'VERB',
    verbs: LEDGER_VERBS,
  },
  serve: {
    meaning: 'Serves MCP over HTTP to a team; ends with SIGTERM.',
    arguments: '',
    flags: {
      'with-runner': { value: null, meaning: 'Executes runs itself, in the workspaces of this machine.' },
      host: { value: 'ADDRESS', meaning: 'Where it listens; default 127.0.0.1.' },
      port: { value: 'NUMBER', meaning: 'Default 3460; 0 takes any free one.' },
      'no-auth': { value: null, meaning: 'Everybody is you; only where nobody else reaches it.' },
    },
  },
  runner: {
    meaning: 'Executes runs for a team server, in the workspaces of this machine; ends with SIGTERM.',
    arguments: '',
  },
  keys: {
    meaning: 'Makes and revokes the keys by which a team server knows people and machines.',
    arguments: 'VERB',
    verbs: KEY_VERBS,
  },
  approvals: { meaning: 'Shows what waits for approval, with the codes to answer.', arguments: '' },
  approve: {
    meaning: 'Approves a run that waits, by its code; asks for your key.',
    arguments: 'CODE',
    flags: REASON,
  },
  deny: {
    meaning: 'Ends a run that waits, by its code; asks for your key.',
    arguments: 'CODE',
    flags: REASON,
  },
  outbox: {
    meaning: 'Shows what is still to be reported to a Polycrate API.',
    arguments: 'VERB',
    verbs: OUTBOX_VERBS,
  },
  mirror: {
    meaning: 'Brings in what others reported to a Polycrate API.',
    arguments: 'VERB',
    verbs: MIRROR_VERBS,
  },
  policy: {
    meaning: 'Checks the rules of a policy file.',
    arguments: 'VERB',
    verbs: POLICY_VERBS,
  },
  history: {
    meaning: 'Brings in what others ran.',
    arguments: 'VERB',
    verbs: {
      import: {
        meaning: 'Imports what the Polycrate CLI logged in the workspaces, at once and whole.',
        flags: {},
      },
    },
  },
  supervise: {
    meaning: 'Goes on with open runs after their server ended; the server starts it.',
    arguments: '[ARGS]',
    flags: { 'for-runner': { value: null, meaning: 'Of a runner.' } },
  },
  help: { meaning: 'Lists commands and settings.', arguments: '' },
  version: { meaning: 'Prints the version.', arguments: '' },
} as const satisfies Record<string, CommandEntry>;

export type Command = keyof typeof COMMANDS;

export interface CommandLine {
  command: Command;
  /** What followed the command and its verb. */
  args: readonly string[];
  verb: string | null;
  /** Flags of the verb, without dashes. */
  options: Readonly<Record<string, string>>;
  /** Setting flags, without dashes. */
  flags: Readonly<Record<string, string>>;
  envFile: string | null;
}

const SWITCHES = ['mount-docker-socket'];
const VALUED = Object.values(SETTINGS)
  .map(flagOf)
  .filter((flag) => flag !== null && !SWITCHES.includes(flag)) as string[];
const FLAGS = [...VALUED, ...SWITCHES, 'env-file', 'help', 'version'];

/** Every flag of every verb. The same name must take a value everywhere or nowhere. */
const OWN_FLAGS: Readonly<Record<string, OwnFlag>> = Object.assign(
  {},
  ...Object.values<CommandEntry>(COMMANDS).flatMap(({ verbs = {}, flags = {} }) => [
    flags,
    ...Object.values(verbs).map((verb) => verb.flags),
  ]),
) as Record<string, OwnFlag>;

const OPTIONS = {
  ...Object.fromEntries(
    Object.entries(OWN_FLAGS).map(([flag, { value }]) => [
      flag,
      { type: value === null ? ('boolean' as const) : ('string' as const) },
    ]),
  ),
  ...Object.fromEntries([...VALUED, 'env-file'].map((flag) => [flag, { type: 'string' as const }])),
  ...Object.fromEntries(SWITCHES.map((flag) => [flag, { type: 'boolean' as const }])),
  help: { type: 'boolean' as const, short: 'h' },
  version: { type: 'boolean' as const, short: 'v' },
};

/** Throws `configuration` for unknown commands, unknown flags and flags without their value. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  // Lenient parsing with tokens: the library's own errors know no closest name.
  const { tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const words: string[] = [];
  const given: Record<string, string> = {};
  const options: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const target = isOwn(token.name) ? options : given;
    const before = OWN_FLAGS[token.name]?.many ? target[token.name] : undefined;
    target[token.name] = before === undefined ? valueOf(token) : `${before}\n${valueOf(token)}`;
  }
  const { 'env-file': envFile = null, help, version, ...flags } = given;
  const plain = { args: words.slice(1), verb: null, options: {}, flags, envFile };
  if (help) return { ...plain, command: 'help' };
  if (version) return { ...plain, command: 'version' };
  return { ...plain, ...commandOf(words, options) };
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

function valueOf({ name, rawName, value, inlineValue }: OptionToken): string {
  if (!FLAGS.includes(name) && !isOwn(name)) throw unknownFlag(rawName);
  const valued = VALUED.includes(name) || name === 'env-file' || (OWN_FLAGS[name]?.value ?? null) !== null;
  if (!valued) return value ?? 'true';
  // `--run-mode --image x` would make "--image" the run mode.
  if (value === undefined || (!inlineValue && value.startsWith('-'))) {
    throw new AppError('configuration', `${rawName} needs a value: ${rawName}=VALUE.`);
  }
  return value;
}

function isOwn(flag: string): boolean {
  return Object.hasOwn(OWN_FLAGS, flag);
}

function unknownFlag(rawName: string): AppError {
  const valid = FLAGS.map((flag) => `--${flag}`);
  return new AppError('configuration', `${rawName} is not a flag.${didYouMean(rawName, valid)}`, {
    valid,
    next: 'polycrate-mcp --help lists every flag.',
  });
}

function commandOf(
  [word, ...args]: readonly string[],
  options: CommandLine['options'],
): Pick<CommandLine, 'command' | 'args' | 'verb' | 'options'> {
  const names = Object.keys(COMMANDS).filter((name) => name !== 'stdio');
  if (word !== undefined && !names.includes(word)) {
    throw new AppError('configuration', `"${word}" is not a command.${didYouMean(word, names)}`, {
      valid: names,
    });
  }
  const command = (word ?? 'stdio') as Command;
  const { verbs, flags = {}, arguments: takes }: CommandEntry = COMMANDS[command];
  if (verbs) return { command, ...verbOf({ command, verbs, args, options }), options };
  refuseOptions(command, options, flags);
  if (takes === '') refuseArguments(command, args);
  return { command, args, verb: null, options };
}

interface VerbParts {
  command: Command;
  verbs: Readonly<Record<string, Verb>>;
  args: readonly string[];
  options: CommandLine['options'];
}

function verbOf({ command, verbs, args: [verb, ...args], options }: VerbParts): {
  verb: string;
  args: string[];
} {
  const valid = Object.keys(verbs);
  const entry = verb === undefined ? undefined : verbs[verb];
  if (verb === undefined || !entry || !valid.includes(verb)) {
    const problem =
      verb === undefined
        ? `${command} needs to be told what to do: ${valid.join(' or ')}.`
        : `"${verb}" is nothing that ${command} can do.${didYouMean(verb, valid)}`;
    throw new AppError('configuration', problem, {
      valid,
      next: `polycrate-mcp ${command} takes ${valid.join(', ')}; --help explains them.`,
    });
  }
  refuseOptions(`${command} ${verb}`, options, entry.flags);
  if (entry.argument === undefined) refuseArguments(`${command} ${verb}`, args);
  else if (args.length !== 1) {
    throw new AppError('configuration', `${command} ${verb} takes exactly one ${entry.argument}.`);
  }
  return { verb, args };
}

function refuseOptions(name: string, options: CommandLine['options'], flags: Verb['flags']): void {
  for (const option of Object.keys(options)) {
    if (Object.hasOwn(flags, option)) continue;
    throw new AppError('configuration', `--${option} is not a flag of ${name}.`, {
      valid: Object.keys(flags).map((flag) => `--${flag}`),
      next: 'polycrate-mcp --help lists every flag.',
    });
  }
}

function refuseArguments(name: string, args: readonly string[]): void {
  if (args.length === 0) return;
  throw new AppError('configuration', `${name} takes no arguments, but got ${JSON.stringify(args[0])}.`);
}
