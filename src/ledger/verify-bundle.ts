import type { KeyObject } from 'node:crypto';
import type { ActionRun } from '../runs/action-run.ts';
import {
  isSigned,
  logFile,
  MANIFEST,
  parseManifest,
  publicKeyOf,
  RUNS,
  type BundleFile,
  type BundleManifest,
} from './bundle.ts';
import { checkBundledRun, parseLine, type BundledRun } from './bundled-run.ts';
import { checkSignature, keyId } from './checkpoint.ts';
import { createTally } from './bundle-tally.ts';
import { sameJson, sha256 } from '../shared/json.ts';
import { createCollector } from './verify.ts'; // prettier-ignore

/** A bundle somewhere. Reading it in pieces keeps memory bounded. */
export interface BundleSource {
  /** The text of `bundle.json`. Throws `configuration` if there is none. */
  manifest(): Promise<string>;
  /** Names of all files beside it, in folders too. */
  names(): Promise<string[]>;
  /** Null: it is not there, or not a file. */
  digest(name: string): Promise<BundleFile | null>;
  lines(name: string): AsyncIterable<string>;
}

export interface BundleVerification {
  /** `not_provable`: all of it fits together, but nobody said that the key is the ledger's. */
  result: 'sound' | 'tampered' | 'not_provable';
  manifest: BundleManifest | null;
  /** SHA-256 of the bytes of `bundle.json`, by which the bundle is known. */
  digest: string;
  checked: { runs: number; events: number; private_values: number; files: number };
  findings: string[];
  findings_total: number;
}

export interface BundleTask {
  /** The public key of the ledger as the reader got it from elsewhere, if they did. */
  trusted: (key_id: string) => KeyObject | null;
  onProgress?: (done: number, total: number) => void;
}

/** Checks signature, files, and every run by itself. Needs neither a ledger nor a network. */
export async function verifyBundle(source: BundleSource, task: BundleTask): Promise<BundleVerification> {
  const findings = createCollector<string>();
  const checked = { runs: 0, events: 0, private_values: 0, files: 0 };
  const text = await source.manifest();
  const manifest = parseManifest(text);
  const answer = (trusted: boolean): BundleVerification => ({
    result: findings.total() > 0 ? 'tampered' : trusted ? 'sound' : 'not_provable',
    manifest,
    digest: sha256(text),
    checked,
    findings: findings.list,
    findings_total: findings.total(),
  });
  if (!manifest) {
    findings.add(`${MANIFEST} is not the manifest of a bundle, or was changed`);
    return answer(false);
  }
  for (const fault of manifestFaults(manifest)) findings.add(fault);
  for (const fault of await fileFaults(source, manifest)) findings.add(fault);
  checked.files = manifest.files.length;
  // What is signed is listed; a file of another content is not worth reading.
  if (findings.total() > 0) return answer(false);
  const tally = createTally();
  const total = manifest.counts.runs;
  for await (const { run, faults } of checkedRuns(source, manifest)) {
    for (const fault of faults) findings.add(fault);
    if (faults.length === 0) tally.add(run!);
    if (tally.counts.runs % 500 === 0) task.onProgress?.(tally.counts.runs, total);
  }
  const { runs, events, private_values } = tally.counts;
  Object.assign(checked, { runs, events, private_values });
  if (!sameJson(tally.counts, manifest.counts)) findings.add('the counts of the manifest are not those of the runs');
  const key = task.trusted(manifest.key_id);
  return answer(key !== null && keyId(key) === manifest.key_id);
} // prettier-ignore

/** Each run of the bundle once, with what is wrong with it. */
async function* checkedRuns(
  source: BundleSource,
  { checkpoint, files }: BundleManifest,
): AsyncGenerator<{ run: BundledRun | null; faults: string[] }> {
  const seen = new Set<string>();
  const digests = new Map(files.map(({ name, sha256 }) => [name, sha256]));
  let number = 0;
  for await (const line of source.lines(RUNS)) {
    number += 1;
    const run = parseLine(line);
    if (!run) yield { run, faults: [`line ${number} of ${RUNS} is not what it must be`] };
    else if (seen.has(run.run_id)) yield { run, faults: [`run ${run.run_id} is there twice`] };
    else yield { run, faults: [...checkBundledRun(run, checkpoint), ...logFaults(run, digests)] };
    if (run) seen.add(run.run_id);
  }
}

/** A log without a recorded digest was still being written, or its digest is withheld. */
function logFaults({ run_id, record }: BundledRun, digests: ReadonlyMap<string, string>): string[] {
  const recorded = (record as Partial<ActionRun>).log?.sha256 ?? null;
  const there = digests.get(logFile(run_id));
  if (recorded === null || there === undefined || recorded === there) return [];
  return [`the log of run ${run_id} is not the one that was recorded`];
}

function manifestFaults(manifest: BundleManifest): string[] {
  const { checkpoint, key_id } = manifest;
  if (!isSigned(manifest)) return [`${MANIFEST} was changed: its signature does not fit`];
  const publicKey = publicKeyOf(manifest)!;
  if (checkSignature(checkpoint, { id: key_id, publicKey }) === 'valid') return [];
  return ['the checkpoint was changed: its signature does not fit'];
}

async function fileFaults(source: BundleSource, { files }: BundleManifest): Promise<string[]> {
  const faults: string[] = [];
  const listed = new Set(files.map(({ name }) => name));
  if (listed.size < files.length || !listed.has(RUNS)) faults.push(`the list of files in ${MANIFEST} is not in order`);
  for (const file of files) {
    const there = await source.digest(file.name);
    if (!there) faults.push(`${file.name} is missing`);
    else if (there.sha256 !== file.sha256 || there.bytes !== file.bytes) faults.push(`${file.name} was changed`);
  }
  for (const name of await source.names()) if (!listed.has(name)) faults.push(`${name} is not part of the bundle`);
  return faults;
} // prettier-ignore
