import type { ForeignRun, Mirror } from '../ledger/mirror.ts';
import type { RunLogs } from '../runs/run-log.ts';
import type { RunRedaction } from '../runs/run-redaction.ts';
import { messageOf } from '../shared/errors.ts';
import { isObject, type JsonObject } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import { cliRun } from './cli-event.ts';
import type { CliLogFolder, CliLogs } from './cli-logs.ts';

export interface LogsImportPorts {
  files: CliLogs;
  mirror: Mirror;
  logs: Pick<RunLogs, 'put'>;
  /** What the output of this workspace's actions must not show. */
  secretsOf(workspace: Workspace): Promise<string[]>;
  clock: Pick<Clock, 'now'>;
}

export interface LogsImported {
  files: number;
  added: number;
  changed: number;
  /** Each with its reason; they hide nothing else. */
  broken: string[];
}

export interface ImportOptions {
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

const ROWS = 100;
/** Output that is held until its rows are stored. */
const HELD_CHARACTERS = 8 * 1024 * 1024;

/**
 * Imports what the CLI left in one workspace. Folders that did not change since are passed over; where it is
 * interrupted, it goes on with the first folder that was not finished.
 */
export async function importLogs(ports: LogsImportPorts, workspace: Workspace, options: ImportOptions = {}): Promise<LogsImported> {
  const endpoint = addressOf(workspace);
  const result: LogsImported = { files: 0, added: 0, changed: 0, broken: [] };
  const folders = await ports.files.folders(workspace);
  const standing = await ports.mirror.standing('logs', endpoint);
  if (folders.length === 0 && !standing) return result;
  const done = finished(standing?.position);
  const total = sum(folders);
  const left = folders.filter(({ name, state }) => done.get(name)?.state !== state);
  const secrets = left.length === 0 ? [] : await ports.secretsOf(workspace);
  let passed = total - sum(left);
  const store = async (batch: Batch): Promise<void> => {
    const missing = `import going on: ${passed} of ${total} files`;
    await storeBatch(ports, { endpoint, missing, position: positionOf(done) }, { batch, result });
  };
  for (const folder of left) {
    let batch = emptyBatch();
    const broken: string[] = [];
    const reading = readAhead(folder.files, (file) => ports.files.read(workspace, file));
    for await (const { file, log } of reading) {
      if (options.signal?.aborted) return result;
      take(log, { workspace, secrets, file, batch, broken });
      passed += 1;
      result.files += 1;
      if (batch.rows.length >= ROWS || batch.characters > HELD_CHARACTERS) {
        await store(batch);
        batch = emptyBatch();
        options.onProgress?.(passed, total);
      }
    }
    await store(batch);
    options.onProgress?.(passed, total);
    done.set(folder.name, { state: folder.state, broken });
  }
  result.broken = [...done.values()].flatMap((folder) => folder.broken);
  await ports.mirror.storePage({
    source: 'logs',
    endpoint,
    at: ports.clock.now(),
    rows: [],
    position: positionOf(done),
    missing: brokenText(result.broken),
  });
  return result;
} // prettier-ignore

interface Batch {
  rows: ForeignRun[];
  outputs: { output: string; redaction: RunRedaction }[];
  characters: number;
}

function emptyBatch(): Batch {
  return { rows: [], outputs: [], characters: 0 };
}

interface Taken {
  workspace: Workspace;
  secrets: readonly string[];
  file: string;
  batch: Batch;
  broken: string[];
}

function take(read: ReadLog, { workspace, secrets, file, batch, broken }: Taken): void {
  if ('broken' in read) return void broken.push(`${file}: ${read.broken.slice(0, 120)}`);
  try {
    const run = cliRun(read, workspace, secrets);
    if (!run) return;
    batch.rows.push(run.run);
    batch.outputs.push({ output: run.output, redaction: run.redaction });
    batch.characters += run.output.length;
  } catch (error) {
    broken.push(`${file}: ${messageOf(error).slice(0, 120)}`);
  }
} // prettier-ignore

type ReadLog = Awaited<ReturnType<CliLogs['read']>>;

/** Reads the next file while the one before is taken in: never more than two are held. */
async function* readAhead(files: readonly string[], read: (file: string) => Promise<ReadLog>): AsyncGenerator<{ file: string; log: ReadLog }> {
  const begin = (file: string): Promise<ReadLog> => {
    const log = read(file);
    // Nobody may come for it any more.
    log.catch(() => undefined);
    return log;
  };
  let next = files[0] === undefined ? null : begin(files[0]);
  for (const [index, file] of files.entries()) {
    const log = await next!;
    const after = files[index + 1];
    next = after === undefined ? null : begin(after);
    yield { file, log };
  }
} // prettier-ignore

interface Place {
  endpoint: string;
  missing: string;
  position: JsonObject;
}

/** Rows first, because they tell which run an output belongs to; what is repeated after a crash changes nothing. */
async function storeBatch(
  { mirror, logs, clock }: LogsImportPorts,
  place: Place,
  { batch, result }: { batch: Batch; result: LogsImported },
): Promise<void> {
  const stored = await mirror.storePage({ source: 'logs', ...place, at: clock.now(), rows: batch.rows });
  result.added += stored.added;
  result.changed += stored.changed + stored.joined;
  const puts = stored.run_ids.entries();
  const some = async (): Promise<void> => {
    for (const [index, run_id] of puts) {
      const { output, redaction } = batch.outputs[index]!;
      if (output !== '') await logs.put(run_id, [['stdout', output]], redaction.clean);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, some));
}

/** Small files wait for the disk far longer than for anything else. */
const WRITERS = 8;

type Done = Map<string, { state: string; broken: string[] }>;

function finished(position: unknown): Done {
  const folders = isObject(position) && isObject(position['folders']) ? position['folders'] : {};
  return new Map(Object.entries(folders) as [string, { state: string; broken: string[] }][]);
}

function positionOf(done: Done): JsonObject {
  return { folders: Object.fromEntries(done) };
}

function sum(folders: readonly CliLogFolder[]): number {
  return folders.reduce((total, { files }) => total + files.length, 0);
}

const NAMED = 3;

function brokenText(broken: readonly string[]): string | null {
  if (broken.length === 0) return null;
  const more = broken.length > NAMED ? ` and ${broken.length - NAMED} more` : '';
  return `${broken.length} files could not be read: ${broken.slice(0, NAMED).join('; ')}${more}`;
}
