import type { KeyObject } from 'node:crypto';
import type { ArchivedEvent, LedgerArchive } from '../ledger/archive.ts';
import { RUNS } from '../ledger/bundle.ts';
import { lineOf, parseLine, recordOf } from '../ledger/bundled-run.ts';
import type { CheckpointKeys } from '../ledger/checkpoint.ts';
import { lossByErased } from '../ledger/erase.ts';
import { importBundle } from '../ledger/import-bundle.ts';
import { verifyBundle, type BundleSource } from '../ledger/verify-bundle.ts';
import { verifyLedger } from '../ledger/verify-ledger.ts';
import { isOpen, type ActionRun } from '../runs/action-run.ts';
import { CALLS_RECORDED } from '../runs/trail-event.ts';
import { AppError } from '../shared/errors.ts';
import { sha256, type Json, type JsonObject } from '../shared/json.ts';
import type { Clock, Log } from '../shared/ports.ts';
import { exportBundle, type BundleSink } from './export-bundle.ts';
import type { Records } from './records.ts';
import type { CallPage, CallPosition } from './trail.ts';

/** Where the signed bundles of merges stay. */
export interface MergeBundles {
  create(name: string): Promise<BundleSink & { publish(): Promise<void>; discard(): Promise<void> }>;
  /** Null: there is none of this name. */
  open(name: string): Promise<BundleSource | null>;
}

export interface MergePorts {
  journal: Pick<Records, 'archive' | 'check' | 'history' | 'leases' | 'ledger' | 'upkeep'>;
  database: Pick<Records, 'archive' | 'mirror' | 'trail' | 'upkeep'>;
  /** Of the journal. */
  keys(): CheckpointKeys & { privateKey: KeyObject | null };
  bundles: MergeBundles;
  clock: Clock;
  log: Log;
}

export interface Merged {
  /** Ids of all that are in the database now, whoever brought them there. */
  run_ids: string[];
  imported: number;
  /** Digest of the bundle; null: there was nothing to import. */
  bundle: string | null;
  /** The last event of the journal whose calls are in the ledger; 0: it has none. */
  calls_up_to: number;
}

/**
 * Brings what ended in a journal into the ledger that it stood in for: runs as a signed bundle, which is checked like any
 * other, and calls as they were recorded. May be repeated, also after an interruption: nothing comes in twice.
 */
export async function mergeJournal(ports: MergePorts, runs: readonly ActionRun[]): Promise<Merged> {
  const ended = await endedOf(ports, runs);
  const absent = await ports.database.archive.absent(ended);
  const merged = absent.length === 0 ? { imported: 0, bundle: null } : await mergeRuns(ports, absent);
  return { run_ids: ended, ...merged, calls_up_to: await mergeCalls(ports) };
}

/** Those whose supervisor is done with them as well, so that nothing of them comes later. */
async function endedOf({ journal }: MergePorts, runs: readonly ActionRun[]): Promise<string[]> {
  const held = new Set((await journal.leases.list()).map(({ run_id }) => run_id));
  return runs.filter((run) => !isOpen(run) && !held.has(run.id)).map(({ id }) => id);
}

async function mergeRuns(ports: MergePorts, run_ids: readonly string[]): Promise<Pick<Merged, 'imported' | 'bundle'>> {
  const { journal, database, bundles, clock, log } = ports;
  const keys = ports.keys();
  const { checkpoint } = await verifyLedger({ check: journal.check, keys: () => keys, clock, log }, { anchor: null, incremental: true });
  if (!checkpoint || !keys.privateKey) throw notMerged('the journal is not what was written');
  // The same runs of the same state make the same bundle, also after a kill in between.
  const name = `${checkpoint.size}-${sha256(run_ids.join('\n')).slice(0, 16)}`;
  if (!(await bundles.open(name))) {
    const draft = await bundles.create(name);
    try {
      await exportBundle({ ...journal, logs: NO_LOGS }, {
        ...{ choice: { run_ids }, asked: { filters: { run: [...run_ids] }, interval: { since: null, until: null } } },
        ...{ checkpoint, keys: { ...keys, privateKey: keys.privateKey }, at: clock.now() },
        // It stays, and what is said of people in it could be erased nowhere.
        ...{ people: false, logs: false },
      }, draft);
      await draft.publish();
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }
  const source = await bundles.open(name);
  const verified = source && (await verifyBundle(source, { trusted: () => keys.publicKey }));
  if (verified?.result !== 'sound' || !verified.manifest) throw notMerged('its bundle is not sound');
  const { manifest, digest } = verified;
  const { isErased } = database.upkeep;
  const { imported } = await importBundle({ ...database, clock, isErased }, { source: withPeople(source!, journal.archive), manifest, digest });
  return { imported, bundle: digest };
} // prettier-ignore

/** Logs lie where they would lie if the run had been recorded in the database. */
const NO_LOGS = {
  async *bytes(): AsyncGenerator<Uint8Array> {
    // None is asked for.
  },
};

function notMerged(why: string): AppError {
  return new AppError('tampered', `nothing was merged: ${why}`, {
    next: 'POLYCRATE_MCP_HOME=HOME/journal `polycrate-mcp ledger verify` says where, with HOME for the data folder',
  });
}

/** The bundle with what the journal knows of people, which its commitments vouch for. */
function withPeople(source: BundleSource, archive: Pick<LedgerArchive, 'events'>): BundleSource {
  return {
    ...source,
    async *lines(name) {
      for await (const line of source.lines(name)) {
        const run = name === RUNS ? parseLine(line) : null;
        if (!run) {
          yield line;
          continue;
        }
        const values = new Map((await archive.events([run.run_id])).map(({ event, values: its }) => [event.seq, its]));
        const events = run.events.map((event) => ({
          ...event,
          private: (values.get(event.seq) ?? []).map(({ name: of, salt, value }) => ({ name: of, salt: Buffer.from(salt).toString('hex'), value })),
        }));
        yield lineOf({ ...run, record: recordOf(events) as unknown as JsonObject, events }).trimEnd();
      }
    },
  };
} // prettier-ignore

/** Batches of calls, each as one event of the ledger that tells which one of the journal it was. Answers the last one's `seq`. */
async function mergeCalls({ journal, database, clock }: MergePorts): Promise<number> {
  const ledger = await journal.check.id();
  let up_to = 0;
  for (const archived of await journal.archive.events([''])) {
    const { kind, facts, seq, hash } = archived.event;
    if (kind !== CALLS_RECORDED) continue;
    up_to = seq;
    const { calls } = JSON.parse(facts) as { calls: RecordedCall[] };
    const there = await idsOf(database, calls);
    const positions = [...calls.keys()].filter((position) => !there.has(calls[position]!.id));
    if (positions.length === 0) continue;
    const members = await remembered(archived, positions, database.upkeep.isErased);
    await database.trail.append({
      ...{ kind: CALLS_RECORDED, run_id: '', at: clock.now() },
      facts: { calls: positions.map((position) => calls[position]!), journal: { ledger, seq, hash } },
      private: members,
    });
  }
  return up_to;
}

type RecordedCall = JsonObject & { id: string; at: number };

/** Ids of calls of that time that the ledger has: a batch that it did not answer may be in both. */
async function idsOf({ trail }: Pick<MergePorts['database'], 'trail'>, calls: readonly RecordedCall[]): Promise<Set<string>> {
  const times = calls.map(({ at }) => at);
  const span = { since: Math.min(...times), until: Math.max(...times) + 1 };
  const ids = new Set<string>();
  let after: CallPosition | null = null;
  do {
    const page: CallPage = await trail.search({ filters: { span }, limit: 100, after });
    for (const { id } of page.calls) ids.add(id);
    after = page.next;
  } while (after);
  return ids;
} // prettier-ignore

/** Of those calls, without what is about erased people and without digests under a key that the ledger does not have. */
async function remembered(
  { values }: ArchivedEvent,
  positions: readonly number[],
  isErased: (name: string) => Promise<boolean>,
): Promise<JsonObject> {
  const lost = new Set(await lossByErased(values, isErased));
  const kept = values.filter(({ name }) => !lost.has(name)).map(({ name, value }) => ({ ...partsOf(name), value }));
  return Object.fromEntries(
    kept
      .filter(({ position, member }) => positions.includes(position) && member !== 'arguments_digest')
      .map(({ position, member, value }) => [`${positions.indexOf(position)}.${member}`, JSON.parse(value) as Json]),
  );
} // prettier-ignore

function partsOf(name: string): { position: number; member: string } {
  const dot = name.indexOf('.');
  return { position: Number(name.slice(0, dot)), member: name.slice(dot + 1) };
}
