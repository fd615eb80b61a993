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
  /** A deep copy whose strings are cleaned; those of the record's own fields are not searched for secrets. */
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

/** Longest text, in characters, and number of texts whose cleaned form is remembered. */
const SHORT_TEXT = 64;
const MOST_ANSWERS = 2_000;

export function createRedaction(): Redaction {
  const sources = new Map<string, Known>();
  let redactor: Redactor | null = null;
  const current = (): Redactor =>
    (redactor ??= createRedactor(withoutNames(together([...sources.values()]))));
  // Answers are made of the same names, states and keys again and again.
  const answers = new Map<string, string>();
  const text = (value: string): string => {
    if (value.length > SHORT_TEXT) return redactText(current(), value);
    let answer = answers.get(value);
    if (answer === undefined) {
      if (answers.size >= MOST_ANSWERS) answers.clear();
      answers.set(value, (answer = redactText(current(), value)));
    }
    return answer;
  };
  const json = (value: unknown, field: string): unknown => {
    if (typeof value === 'string') return RECORD_FIELDS.has(field) ? cleanText(value) : text(value);
    if (Array.isArray(value)) return value.map((item) => json(item, field));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [text(key), json(member, key)]));
  };
  return {
    learn(source, known) {
      if (sources.get(source) === known) return;
      sources.set(source, known);
      redactor = null;
      answers.clear();
    },
    text,
    json: (value) => json(value, '') as never,
  };
}

function together(all: readonly Known[]): Known {
  return { secrets: all.flatMap(({ secrets }) => secrets), names: all.flatMap(({ names }) => names) };
}

/** Secrets that are no part of a name: what a definition calls by name is no secret, and names must stay readable. */
export function withoutNames({ secrets, names }: Known): string[] {
  const named = names.join('\n');
  return [...new Set(secrets.map((value) => value.trim()))].filter(
    (value) => isMaskable(value) && !named.includes(value),
  );
}
