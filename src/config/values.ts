import { readFileSync } from 'node:fs';
import { AppError, codeOf, messageOf } from '../shared/errors.ts';
import { type Place } from './parsers.ts';
import { flagOf, type Setting, type Table, type Values } from './settings.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/** Where values come from, strongest first: flags by their name, the environment, a file that was named. */
export interface Sources {
  flags: Readonly<Record<string, string>>;
  env: Variables;
  envFile: { path: string; values: Variables } | null;
}

interface Found {
  text: string;
  /** What the operator has to mend, as it is spelt there. */
  origin: string;
}

/** Reads every setting of a table. Throws one `configuration` error that names everything that is wrong. */
export function readValues<S extends Table>(table: S, sources: Sources, place: Place): Values<S> {
  const wrong: { problem: string; form: string }[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(table)) {
    const found = find(entry, sources);
    const text = found?.text ?? entry.fallback;
    if (text === null) {
      values[key] = null;
      continue;
    }
    const parsed = entry.schema(place).safeParse(text);
    if (parsed.success) values[key] = parsed.data;
    else wrong.push(describe(entry, found, parsed.error.issues[0]?.message ?? 'cannot be used'));
  }
  if (wrong.length > 0) throw refusal(wrong);
  return values as Values<S>;
}

function describe(entry: Setting, found: Found | null, message: string): { problem: string; form: string } {
  const shown = entry.secret || !found ? '' : ` "${found.text}"`;
  return { problem: `${found?.origin ?? entry.variable}${shown} ${message}`, form: entry.form };
}

function refusal(wrong: readonly { problem: string; form: string }[]): AppError {
  const message = wrong.map(({ problem, form }) => `${problem}. Valid: ${form}.`).join('\n');
  return new AppError('configuration', message, {
    valid: wrong.map(({ form }) => form),
    next: 'polycrate-mcp --help lists every setting.',
  });
}

function find(entry: Setting, sources: Sources): Found | null {
  const flag = flagOf(entry);
  const given = flag === null ? undefined : sources.flags[flag];
  if (given !== undefined) return { text: given, origin: `--${flag}` };
  const { envFile } = sources;
  return (
    variable(entry, sources.env, '') ?? (envFile && variable(entry, envFile.values, ` in ${envFile.path}`))
  );
}

/** An empty variable counts as unset: that is how compose files and CI systems pass "nothing". */
function variable(entry: Setting, values: Variables, where: string): Found | null {
  const text = values[entry.variable];
  const file = entry.secret ? values[`${entry.variable}_FILE`] : undefined;
  if (text && file) {
    throw new AppError(
      'configuration',
      `${entry.variable} and ${entry.variable}_FILE are both set${where}; keep one.`,
    );
  }
  if (text) return { text, origin: `${entry.variable}${where}` };
  if (file)
    return { text: secretFile(`${entry.variable}_FILE`, file), origin: `${entry.variable}_FILE${where}` };
  return null;
}

/** Editors and `echo` end a file with a line break that is not part of the secret. */
function secretFile(name: string, path: string): string {
  return readNamedFile(name, path).replace(/\r?\n$/, '');
}

/** Throws `configuration` naming the setting or flag that named the file. */
export function readNamedFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = codeOf(cause) === 'ENOENT' ? 'there is no such file' : messageOf(cause);
    throw new AppError('configuration', `${name} names ${path}, which cannot be read: ${reason}.`, { cause });
  }
}
