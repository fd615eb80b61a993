import type { ArchivedEvent, LedgerArchive } from '../ledger/archive.ts';
import {
  logFile,
  MANIFEST,
  RUNS,
  signManifest,
  type BundleFile,
  type BundleManifest,
  type UnsignedManifest,
} from '../ledger/bundle.ts';
import { bundleRun, lineOf, type BundledRun } from '../ledger/bundled-run.ts';
import { createTally } from '../ledger/bundle-tally.ts';
import { storedCommitment, storedHash } from '../ledger/chain.ts';
import type { Checkpoint, CheckpointKeys } from '../ledger/checkpoint.ts';
import { createProofTree, type ProofTree } from '../ledger/inclusion.ts';
import type { LedgerUpkeep } from '../ledger/upkeep.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import type { RunLogs } from '../runs/run-log.ts';
import { AppError } from '../shared/errors.ts';
import { bundleSummary } from './bundle-summary.ts';
import { CSV_HEAD, csvLine } from './runs-csv.ts';
import type { RunFilters, RunHistory, RunQuery } from './search.ts'; // prettier-ignore

export interface ExportPorts {
  archive: LedgerArchive;
  history: Pick<RunHistory, 'search'>;
  ledger: Pick<RunLedger, 'find'>;
  logs: Pick<RunLogs, 'bytes'>;
  upkeep: Pick<LedgerUpkeep, 'pruned'>;
}

export interface ExportRequest {
  /** These runs, or those that match. */
  choice: { run_ids: readonly string[] } | { filters: RunFilters };
  /** What the manifest says of the choice. */
  asked: Pick<UnsignedManifest, 'filters' | 'interval'>;
  checkpoint: Checkpoint;
  keys: CheckpointKeys & { privateKey: NonNullable<CheckpointKeys['privateKey']> };
  people: boolean;
  logs: boolean;
  at: number;
  onProgress?: (done: number, total: number) => void;
}

/** Files that are written in pieces; what was written is counted and digested. */
export interface BundleSink {
  write(name: string, chunk: string | Uint8Array): Promise<void>;
  /** Closes the files and tells what they are, ordered by name. */
  finish(): Promise<BundleFile[]>;
}

const HASHES = 10_000;
const PAGE = 200;

/** Writes chosen runs with proofs under one checkpoint. Memory grows by 64 bytes for an event of the ledger. */
export async function exportBundle(
  ports: ExportPorts,
  request: ExportRequest,
  sink: BundleSink,
): Promise<BundleManifest> {
  const { checkpoint, people, logs, keys, asked, at } = request;
  const pruned = (await ports.upkeep.pruned()) ?? undefined;
  const tree = await createProofTree(hashesOf(ports.archive, pruned?.size ?? 0, checkpoint.size), pruned);
  if (tree.root !== checkpoint.root) throw changedMeanwhile();
  const tally = createTally();
  const left_out = { mirrored: 0, later: 0 };
  await sink.write(RUNS, '');
  await sink.write('runs.csv', CSV_HEAD);
  for await (const { ids, total } of chosenRuns(ports, request)) {
    const { runs, mirrored, later } = await bundled(ports.archive, ids, { tree, people });
    left_out.mirrored += mirrored;
    left_out.later += later;
    for (const run of runs) {
      await sink.write(RUNS, lineOf(run));
      await sink.write('runs.csv', csvLine(run.record, run.events));
      if (logs) for await (const chunk of ports.logs.bytes(run.run_id)) await sink.write(logFile(run.run_id), chunk);
      tally.add(run);
    }
    request.onProgress?.(tally.counts.runs + left_out.mirrored + left_out.later, total);
  }
  const parts = { ...asked, at, checkpoint, people, counts: tally.counts, left_out };
  await sink.write('summary.md', bundleSummary({ ...parts, key_id: keys.id }));
  const { manifest, text } = signManifest({ ...parts, files: await sink.finish() }, keys);
  await sink.write(MANIFEST, text);
  await sink.finish();
  return manifest;
} // prettier-ignore

async function* hashesOf(archive: LedgerArchive, from: number, size: number): AsyncGenerator<string[]> {
  for (let after = from; after < size; after += HASHES) {
    yield await archive.hashes(after, Math.min(HASHES, size - after));
  }
}

/** Pages of ids in the order of their start; none twice, although an open run may move while pages are read. */
async function* chosenRuns(
  { history, ledger }: ExportPorts,
  { choice }: ExportRequest,
): AsyncGenerator<{ ids: string[]; total: number }> {
  if ('run_ids' in choice) {
    const ids: string[] = [];
    for (const wanted of choice.run_ids) ids.push((await found(ledger, wanted)).id);
    const once = [...new Set(ids)].sort();
    yield { ids: once, total: once.length };
    return;
  }
  const query: RunQuery = { filters: choice.filters, include_excluded: true, order: 'oldest', limit: PAGE, after: null };
  const seen = new Set<string>();
  for (;;) {
    const { runs, total, next } = await history.search(query);
    const ids = runs.map(({ id }) => id).filter((id) => !seen.has(id));
    for (const id of ids) seen.add(id);
    yield { ids, total };
    if (!next) return;
    query.after = next;
  }
} // prettier-ignore

async function found(ledger: ExportPorts['ledger'], id: string): Promise<{ id: string }> {
  const run = await ledger.find(id);
  if (run) return run;
  throw new AppError('configuration', `no run ${id} is in this ledger`);
}

/** Only what was there when the checkpoint was made; what does not fit the hashes is not handed out. */
async function bundled(
  archive: LedgerArchive,
  ids: readonly string[],
  { tree, people }: { tree: ProofTree; people: boolean },
): Promise<{ runs: BundledRun[]; mirrored: number; later: number }> {
  const events = new Map(ids.map((id) => [id, [] as ArchivedEvent[]]));
  const own = new Set<string>();
  for (const archived of await archive.events(ids)) {
    if (!isIntact(archived)) throw changedMeanwhile();
    own.add(archived.event.run_id);
    if (archived.event.seq <= tree.size) events.get(archived.event.run_id)?.push(archived);
  }
  const runs = [...events].flatMap(([id, its]) =>
    its.length === 0 ? [] : [bundleRun(id, its, { tree, people })],
  );
  return { runs, mirrored: ids.length - own.size, later: own.size - runs.length };
}

function isIntact({ event, values }: ArchivedEvent): boolean {
  const commitments = JSON.parse(event.commitments) as Record<string, string>;
  return (
    storedHash(event) === event.hash &&
    values.every((value) => storedCommitment(value) === commitments[value.name])
  );
}

function changedMeanwhile(): AppError {
  return new AppError('tampered', 'events are not what was verified: the ledger was changed', {
    next: '`polycrate-mcp ledger verify` says where',
  });
}
