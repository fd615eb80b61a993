import { AppError } from '../shared/errors.ts';
import { isObject, type Json, type JsonObject } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';
import { lossByErased } from './erase.ts';
import { isOpen, type ActionRun, type ProofElsewhere, type RunEvent } from '../runs/action-run.ts';
import { foldEvent } from '../runs/fold.ts';
import { BUNDLE_IMPORTED, type BundleEvent, type LedgerArchive } from './archive.ts';
import { RUNS, type BundleManifest } from './bundle.ts';
import { rejoin } from './rejoin.ts';
import type { Mirror } from './mirror.ts';
import { checkBundledRun, parseLine, recordOf, runEventOf, type BundledRun } from './bundled-run.ts';
import type { BundleSource } from './verify-bundle.ts';

export interface ImportPorts {
  archive: Pick<LedgerArchive, 'absent' | 'import'>;
  mirror: Pick<Mirror, 'heardOf' | 'storePage'>;
  clock: Clock;
  /** Whether a person of this name was erased from this ledger: they do not come back. */
  isErased: (name: string) => Promise<boolean>;
}

export interface ImportTask {
  source: BundleSource;
  /** Of a bundle that was verified. */
  manifest: BundleManifest;
  /** SHA-256 of its `bundle.json`. */
  digest: string;
  onProgress?: (done: number, total: number) => void;
}

export interface Imported {
  imported: number;
  /** Runs that this ledger had already; they were left as they are. */
  present: number;
  /** Runs that were only mirrored here before, and are part of an imported one now. */
  joined: number;
  /** Runs that had not ended when the bundle was made; a later bundle has their end. */
  open: number;
  /** Private values of erased persons, left out. */
  erased: number;
}

const BATCH = 100;

/** Brings the closed runs of a bundle into this ledger as history. May be repeated, also after an interruption. */
export async function importBundle(ports: ImportPorts, task: ImportTask): Promise<Imported> {
  const { manifest, source, onProgress } = task;
  const result: Imported = { imported: 0, present: 0, joined: 0, open: 0, erased: 0 };
  const bundle = bundleEvent(task, ports.clock.now());
  let batch: BundledRun[] = [];
  const store = async (): Promise<void> => {
    const absent = new Set(await ports.archive.absent(batch.map(({ run_id }) => run_id)));
    const events: { event: RunEvent; erased: number }[] = [];
    for (const run of batch.filter(({ run_id }) => absent.has(run_id))) {
      events.push(await importEvent(run, { ports, elsewhere: elsewhereOf(task), at: bundle.at }));
    }
    const stored = new Set(await ports.archive.import({ bundle, runs: events.map(({ event }) => event) }));
    result.imported += stored.size;
    result.present += batch.length - stored.size;
    for (const { event, erased } of events) if (stored.has(event.run_id)) result.erased += erased;
    // Also of those that were here: an import may have been interrupted in between.
    const known = batch.map(({ run_id, events }) => [
      run_id,
      ...recordOf(events).aliases.map(({ id }) => id),
    ]);
    result.joined += await rejoin(ports, known.flat());
    onProgress?.(result.imported + result.present + result.open, manifest.counts.runs);
    batch = [];
  };
  for await (const line of source.lines(RUNS)) {
    const run = intact(line, manifest);
    if (isOpen(recordOf(run.events))) result.open += 1;
    else if (batch.push(run) === BATCH) await store();
  }
  if (batch.length > 0) await store();
  return result;
}

/** Verified a moment ago; read again, because files may change in between. */
function intact(line: string, { checkpoint }: BundleManifest): BundledRun {
  const run = parseLine(line);
  if (run && checkBundledRun(run, checkpoint).length === 0) return run;
  throw new AppError('tampered', 'the bundle was changed while it was imported');
}

function bundleEvent({ manifest, digest }: ImportTask, at: number): BundleEvent {
  const { ledger, size, root } = manifest.checkpoint;
  const { runs, events } = manifest.counts;
  const facts = { bundle: digest, ledger, size, root, key_id: manifest.key_id, runs, events };
  return { kind: BUNDLE_IMPORTED, run_id: '', at, facts, private: {} };
}

function elsewhereOf({ manifest, digest }: ImportTask): ProofElsewhere {
  const { ledger, size, root } = manifest.checkpoint;
  return { ledger, size, root, key_id: manifest.key_id, bundle: digest };
}

interface EventParts {
  ports: Pick<ImportPorts, 'isErased'>;
  elsewhere: ProofElsewhere;
  at: number;
}

/** The whole record in one event: what was private there is private here. */
export async function importEvent(
  { run_id, events }: BundledRun,
  { ports, elsewhere, at }: EventParts,
): Promise<{ event: RunEvent; erased: number }> {
  const record = recordOf(events) as unknown as JsonObject;
  const names = new Set(events.flatMap((event) => event.private.map(({ name }) => name)));
  const lost = new Set<string>();
  for (const event of events) {
    for (const name of await lossByErased(event.private, ports.isErased)) lost.add(name);
  }
  const values: JsonObject = {};
  for (const name of names) {
    const value = valueAt(record, name);
    if (value !== undefined && !lost.has(name)) values[name] = value;
  }
  const evidence = { ...(record['evidence'] as JsonObject), elsewhere: { ...elsewhere } };
  const facts = { ...withoutPeople(events), source: 'ingest', evidence };
  return { event: { kind: 'run_imported', run_id, at, facts, private: values }, erased: lost.size };
}

/** The record as the events say it without any private value. */
function withoutPeople(events: BundledRun['events']): JsonObject {
  let run: ActionRun | null = null;
  for (const event of events) run = foldEvent(run, { ...runEventOf(event), private: {} });
  return run as unknown as JsonObject;
}

function valueAt(record: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = record;
  for (const name of path.split('.')) {
    value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}
