import { createOutputCleaner } from '../shared/redact/output-cleaner.ts';
import { createRedactor } from '../shared/redact/redactor.ts';
import { redactText } from '../shared/redact/text.ts';
import { keyedDigest, type JsonObject } from '../shared/json.ts';
import type { CleanOutput } from './run-log.ts';

/** Everything that a run says passes here before it is stored: its output, and why it ended. */
export interface RunRedaction {
  clean: CleanOutput;
  text(text: string): string;
  /** Known values that its output had, and how often. */
  readonly printed: ReadonlyMap<string, number>;
}

export function createRunRedaction(redactions: readonly string[]): RunRedaction {
  const redactor = createRedactor(redactions);
  const printed = new Map<string, number>();
  const seen = (value: number): void => {
    const text = redactor.values[value]!;
    printed.set(text, (printed.get(text) ?? 0) + 1);
  };
  const streams = {
    stdout: createOutputCleaner(redactor, seen),
    stderr: createOutputCleaner(redactor, seen),
  };
  return {
    clean: (text, { stream, continues }) => streams[stream](text, continues),
    text: (text) => redactText(redactor, text),
    printed,
  };
}

const MOST_FINGERPRINTS = 100;

/** Tells whether a value was printed to whoever has the value and the ledger's key, and nothing to anybody else. */
export function fingerprintOf(key: Uint8Array, value: string): string {
  return keyedDigest(key, ['printed', value.trim()]).slice(0, 32);
}

/** What the record says of the values that were masked, most often printed first. */
export function redactionsRecord(key: Uint8Array, printed: ReadonlyMap<string, number>): JsonObject {
  const values = [...printed].sort((a, b) => b[1] - a[1]);
  return {
    count: values.reduce((sum, [, times]) => sum + times, 0),
    values: values.length,
    fingerprints: values
      .slice(0, MOST_FINGERPRINTS)
      .map(([value, times]) => ({ fingerprint: fingerprintOf(key, value), times })),
  };
}
