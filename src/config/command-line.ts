import { parseArgs } from 'node:util';
import { AppError } from '../shared/errors.ts';
import { didYouMean } from './nearest.ts';
import { flagOf, SETTINGS } from './settings.ts';

/** What the program can be asked to do; `stdio` is what it does without a command. */
export const COMMANDS = {
  stdio: { meaning: 'Serves MCP on stdin and stdout.', arguments: '' },
  demo: { meaning: 'Shows a run and its record on a small workspace of its own.', arguments: '' },
  doctor: {
    meaning: 'Checks settings, workspaces, engine and ledger, and says what to mend.',
    arguments: '',
  },
  supervise: {
    meaning: 'Goes on with open runs after their server ended; the server starts it.',
    arguments: '[ARGS]',
  },
  help: { meaning: 'Lists commands and settings.', arguments: '' },
  version: { meaning: 'Prints the version.', arguments: '' },
} as const;

export type Command = keyof typeof COMMANDS;

export interface CommandLine {
  command: Command;
  args: readonly string[];
  /** Setting flags, without dashes. */
  flags: Readonly<Record<string, string>>;
  envFile: string | null;
}

const SWITCHES = ['mount-docker-socket'];
const VALUED = Object.values(SETTINGS)
  .map(flagOf)
  .filter((flag) => flag !== null && !SWITCHES.includes(flag)) as string[];
const FLAGS = [...VALUED, ...SWITCHES, 'env-file', 'help', 'version'];

const OPTIONS = {
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
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind === 'option') given[token.name] = valueOf(token);
  }
  const { 'env-file': envFile = null, help, version, ...flags } = given;
  const [command, ...args] = words;
  if (help) return { command: 'help', args, flags, envFile };
  if (version) return { command: 'version', args, flags, envFile };
  return { command: commandOf(command, args), args, flags, envFile };
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

function valueOf({ name, rawName, value, inlineValue }: OptionToken): string {
  if (!FLAGS.includes(name)) throw unknownFlag(rawName);
  if (!VALUED.includes(name) && name !== 'env-file') return value ?? 'true';
  // `--run-mode --image x` would make "--image" the run mode.
  if (value === undefined || (!inlineValue && value.startsWith('-'))) {
    throw new AppError('configuration', `${rawName} needs a value: ${rawName}=VALUE.`);
  }
  return value;
}

function unknownFlag(rawName: string): AppError {
  const valid = FLAGS.map((flag) => `--${flag}`);
  return new AppError('configuration', `${rawName} is not a flag.${didYouMean(rawName, valid)}`, {
    valid,
    next: 'polycrate-mcp --help lists every flag.',
  });
}

function commandOf(word: string | undefined, args: readonly string[]): Command {
  if (word === undefined) return 'stdio';
  const names = Object.keys(COMMANDS).filter((name) => name !== 'stdio');
  if (!names.includes(word)) {
    throw new AppError('configuration', `"${word}" is not a command.${didYouMean(word, names)}`, {
      valid: names,
    });
  }
  const command = word as Command;
  if (args.length > 0 && COMMANDS[command].arguments === '') {
    throw new AppError('configuration', `${command} takes no arguments, but got ${JSON.stringify(args[0])}.`);
  }
  return command;
}
