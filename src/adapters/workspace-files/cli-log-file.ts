import { parseDocument } from 'yaml';
import type { CliLog } from '../../history/cli-logs.ts';
import { messageOf } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import { keyedSecrets, secretValues } from '../../shared/secrets.ts';
import { liftOutput } from './lift-output.ts';
import { readRegularSync } from './open-file.ts';

/** An event holds a whole snapshot and all output; one that is larger is not read. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Reads one event. For a thread of its own: a large snapshot takes the library many seconds. */
export function readCliLog(path: string): CliLog | { broken: string } {
  try {
    const read = readRegularSync(path, MAX_BYTES);
    if (read.outcome === 'too_large') return { broken: `is larger than ${MAX_BYTES / 1024 / 1024} MiB` };
    if (read.outcome !== 'read') return { broken: 'is not a regular file' };
    return parsed(new TextDecoder().decode(read.bytes));
  } catch (error) {
    return { broken: messageOf(error) };
  }
}

function parsed(text: string): CliLog | { broken: string } {
  const { rest, output } = liftOutput(text);
  const document = parseDocument(rest, { uniqueKeys: false, logLevel: 'silent' });
  const [error] = document.errors;
  // The parser's own message quotes the file.
  if (error) return { broken: `is no YAML: ${error.code} in line ${error.linePos?.[0].line ?? '?'}` };
  const event = document.toJS({ maxAliasCount: 100 }) as unknown;
  if (!isObject(event)) return { event, secrets: [] };
  const { snapshot } = event;
  // Here the CLI leaves secrets in clear: they are learned, and nothing of them is kept.
  const secrets = [...secretValues(snapshot), ...keyedSecrets(snapshot)];
  const block = isObject(snapshot) && isObject(snapshot['block']) ? snapshot['block'] : {};
  const kept = { block: { version: block['version'], from: block['from'] } };
  return { event: { ...event, snapshot: kept, ...(output !== null && { output }) }, secrets };
}
