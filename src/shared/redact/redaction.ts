import { cleanText } from '../clean-text.ts';
import { isMaskable } from './forms.ts';
import { createRedactor, type Redactor } from './redactor.ts';
import { redactText } from './text.ts';

/** What one source (a workspace, the settings) has to hide, and the names in it that everybody may read. */
export interface Known {
  secrets: readonly string[];
  names: readonly string[];
}

/** Everything that leaves the process passes here: answers, errors, progress, questions, diagnostics. */
export interface Redaction {
  /** Replaces what was known of that source. */
  learn(source: string, known: Known): void;
  text(text: string): string;
  /** A deep copy whose strings are cleaned, not to be changed, nor what it is of; those of the record's own fields are not searched for secrets. */
  json<T>(value: T): T;
}

/** Ids, digests, names, versions: drawn from the ledger or from definitions, and needed as they are. */
const RECORD_FIELDS = new Set(
  (
    'id run_id retrigger_of name workspace organization environment block block_version block_from version app_version from action ' +
    'workflow step image image_digest plan_digest config_keys digest sha256 log_sha256 hash prev head root key_id ' +
    'commit workspace_commit container cursor next_cursor hostname host at code'
  ).split(' '),
);

/** Answers are made of the same names, states and keys again and again. */
function rememberShort(clean: (text: string) => string): { of(text: string): string; forget(): void } {
  const answers = new Map<string, string>();
  return {
    of(text) {
      if (text.length > SHORT_TEXT) return clean(text);
      let answer = answers.get(text);
      if (answer === undefined) {
        if (answers.size >= MOST_ANSWERS) answers.clear();
        answers.set(text, (answer = clean(text)));
      }
      return answer;
    },
    forget: () => answers.clear(),
  };
}

/** Longest text, in characters, and number of texts whose cleaned form is remembered. */
const SHORT_TEXT = 64;
const MOST_ANSWERS = 2_000;

export function createRedaction(): Redaction {
  const sources = new Map<string, Known>();
  let redactor: Redactor | null = null;
  const current = (): Redactor =>
    (redactor ??= createRedactor(withoutNames(together([...sources.values()]))));
  const redacted = rememberShort((value) => redactText(current(), value));
  const cleaned = rememberShort(cleanText);
  const json = (value: unknown, field: string): unknown => {
    if (typeof value === 'string') return RECORD_FIELDS.has(field) ? cleaned.of(value) : redacted.of(value);
    if (Array.isArray(value)) return value.map((item) => json(item, field));
    if (typeof value !== 'object' || value === null) return value;
    const copy: Record<string, unknown> = {};
    for (const [key, member] of Object.entries(value)) {
      const name = redacted.of(key);
      const shown = json(member, key);
      // Assigned, it would become the prototype.
      if (name === '__proto__') Object.defineProperty(copy, name, { value: shown, enumerable: true });
      else copy[name] = shown;
    }
    return copy;
  };
  // An answer that is given once more, as the very same object, is copied and cleaned once.
  let wholes = new WeakMap<object, unknown>();
  const whole = (value: object): unknown => {
    let copy = wholes.get(value);
    if (copy === undefined) wholes.set(value, (copy = json(value, '')));
    return copy;
  };
  return {
    learn(source, known) {
      if (sources.get(source) === known) return;
      sources.set(source, known);
      redactor = null;
      redacted.forget();
      wholes = new WeakMap();
    },
    text: redacted.of,
    json: (value) => (typeof value === 'object' && value !== null ? whole(value) : json(value, '')) as never,
  };
}

function together(all: readonly Known[]): Known {
  return { secrets: all.flatMap(({ secrets }) => secrets), names: all.flatMap(({ names }) => names) };
}

/** Secrets that are no part of a name: what a definition calls by name is no secret, and names must stay readable. */
export function withoutNames({ secrets, names }: Known): string[] {
  const values = [...new Set(secrets.map((value) => value.trim()))].filter(isMaskable);
  // Many blocks share their names, and a shorter name holds no value: without both this would take seconds for many.
  const shortest = values.reduce((least, { length }) => Math.min(least, length), Infinity);
  const named = [...new Set(names)].filter(({ length }) => length >= shortest).join('\n');
  return values.filter((value) => !named.includes(value));
}
