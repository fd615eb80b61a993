import { z } from 'zod';
import { canonicalJson, isObject, sameJson, type Json, type JsonObject } from '../shared/json.ts';
import type { ActionRun, RunEvent } from '../runs/action-run.ts';
import { foldEvent } from '../runs/fold.ts';
import type { ArchivedEvent } from './archive.ts';
import { storedCommitment, storedHash } from './chain.ts';
import { isIncluded } from './checkpoint-tree.ts';
import { digestSchema as digest, type Checkpoint } from './checkpoint.ts';
import type { ProofTree } from './inclusion.ts';

const eventSchema = z.strictObject({
  seq: z.int().min(1),
  at: z.int(),
  kind: z.string(),
  run_id: z.string(),
  facts: z.string(),
  commitments: z.string(),
  prev: digest,
  hash: digest,
  private: z.array(z.strictObject({ name: z.string(), salt: z.string().regex(/^([0-9a-f]{2})*$/), value: z.string() })),
  /** From the event up to the root of the checkpoint. */
  path: z.array(digest),
}); // prettier-ignore

const runSchema = z.strictObject({
  run_id: z.string().regex(/^[0-9a-f-]{36}$/),
  record: z.record(z.string(), z.json()),
  events: z.array(eventSchema).min(1),
});

/** One line of `runs.jsonl`: a run with its proof, complete in itself. */
export type BundledRun = z.infer<typeof runSchema>;
type BundledEvent = BundledRun['events'][number];

/** `people`: with the private values that are left. */
export function bundleRun(
  run_id: string,
  archived: readonly ArchivedEvent[],
  { tree, people }: { tree: ProofTree; people: boolean },
): BundledRun {
  const events = archived.map(({ event, values }) => ({
    ...event,
    private: (people ? values : []).map(({ name, salt, value }) => ({
      name,
      salt: Buffer.from(salt).toString('hex'),
      value,
    })),
    path: tree.path(event.seq - 1),
  }));
  return { run_id, record: recordOf(events) as unknown as JsonObject, events };
}

/** The line as it is written. */
export function lineOf(run: BundledRun): string {
  return `${canonicalJson(run)}\n`;
}

/** Null: it is no such line, or spelt otherwise than it must be. */
export function parseLine(line: string): BundledRun | null {
  try {
    const { success, data } = runSchema.safeParse(JSON.parse(line));
    return success && line === canonicalJson(data) ? data : null;
  } catch {
    return null;
  }
}

/** What the events say of the run, with the private values that are there. */
export function recordOf(events: readonly BundledEvent[]): ActionRun {
  let run: ActionRun | null = null;
  for (const event of events) run = foldEvent(run, runEventOf(event));
  return run!;
}

export function runEventOf(event: BundledEvent): RunEvent {
  return {
    kind: event.kind as RunEvent['kind'],
    run_id: event.run_id,
    at: event.at,
    facts: JSON.parse(event.facts) as JsonObject,
    private: Object.fromEntries(event.private.map(({ name, value }) => [name, JSON.parse(value) as Json])),
  };
}

/** What is wrong with a run and its proof; one sentence each. */
export function checkBundledRun(run: BundledRun, checkpoint: Pick<Checkpoint, 'size' | 'root'>): string[] {
  const faults = run.events.flatMap((event) => eventFaults(run, event, checkpoint));
  if (faults.length > 0) return faults;
  const { run_id, events } = run;
  if (events.some(({ seq }, at) => at > 0 && seq <= events[at - 1]!.seq)) {
    faults.push(`run ${run_id} has its events out of order`);
  }
  if (!isBeginning(events[0]!)) faults.push(`run ${run_id} lacks its first event`);
  if (run.record['id'] !== run_id || !sameJson(recordWithin(events), run.record)) {
    faults.push(`the record of run ${run_id} is not what its events say`);
  }
  return faults;
}

function isBeginning({ kind }: BundledEvent): boolean {
  return kind === 'run_requested' || kind === 'run_imported';
}

/** Null: these are no events of a run. */
function recordWithin(events: readonly BundledEvent[]): Record<string, unknown> | null {
  try {
    return { ...recordOf(events) };
  } catch {
    return null;
  }
}

function eventFaults(
  { run_id }: BundledRun,
  event: BundledEvent,
  { size, root }: Pick<Checkpoint, 'size' | 'root'>,
): string[] {
  const { seq, hash, path } = event;
  const name = `event ${seq} of run ${run_id}`;
  if (event.run_id !== run_id) return [`${name} is of another run`];
  const commitments = objectIn(event.commitments);
  if (!commitments || !objectIn(event.facts) || storedHash(event) !== hash) {
    return [`${name} was changed: its hash does not fit`];
  }
  const faults = event.private.flatMap((value) => valueFaults(name, value, commitments));
  if (new Set(event.private.map((value) => value.name)).size < event.private.length) {
    faults.push(`${name} has a private value twice`);
  }
  if (!isIncluded({ hash, index: seq - 1, size, root }, path)) {
    faults.push(`${name} is not in the ledger that the checkpoint describes`);
  }
  return faults;
}

function valueFaults(
  of: string,
  { name, salt, value }: BundledEvent['private'][number],
  commitments: Record<string, unknown>,
): string[] {
  const right = Object.hasOwn(commitments, name) && commitments[name];
  if (right === storedCommitment({ salt: Buffer.from(salt, 'hex'), value })) return [];
  return [`the private value ${name} of ${of} is not the one that was committed to`];
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && text.startsWith('{') && text.endsWith('}') ? value : null;
  } catch {
    return null;
  }
}
