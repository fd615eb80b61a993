import { canonicalJson, sameJson, type JsonObject } from '../shared/json.ts';
import type { ActionRun, LedgerEvent, RunAlias, RunEvent } from '../runs/action-run.ts';
import { applyEvent, type SeenElsewhere } from '../runs/fold.ts';
import { lossOfErased, peopleIn } from './erase.ts';
import { MOST_ROWS, type ForeignPage, type ForeignRun, type PageStored, type RefusedRow } from './mirror.ts'; // prettier-ignore
import {
  commitRow,
  mirroredLeaf,
  pageEvent,
  partsOf,
  plainValues,
  valuesOf,
  type MirroredRow,
} from './mirrored-row.ts';
import { createKnownRuns, type KnownRun } from './known-runs.ts';
import { refusalOf } from './row-condition.ts';
import { contradictionsOf, distinct, foreignId, mirroredRun, runOf, runOfParts } from './mirrored-run.ts'; // prettier-ignore

/** What must be known to place a page; of one and the same moment. */
export interface MirrorState {
  /** Rows that count now, of the page's source, endpoint and ids. */
  current: readonly MirroredRow[];
  /** Runs of those rows, runs that have one of the page's ids, runs that may be alike, and open ones of blocks that have to be alone. */
  runs: ReadonlyMap<string, KnownRun>;
  /** Those of the people named in the page who were erased. */
  erased: ReadonlySet<string>;
  key: Uint8Array;
}

/** A row to store, and the one that it supersedes. */
export interface PlannedRow {
  row: Omit<MirroredRow, 'seq'>;
  supersedes: Pick<MirroredRow, 'seq' | 'position'> | null;
}

export interface MirrorPlan {
  /** Null: nothing new. */
  page: LedgerEvent | null;
  rows: PlannedRow[];
  /** `run_seen_elsewhere` of runs of our own, with the record after it. */
  seen: { event: RunEvent; run: ActionRun }[];
  /** Runs that only others saw, as they are now. */
  runs: ActionRun[];
  /** Runs that turned out to be another one. */
  gone: string[];
  result: PageStored;
}

/** Everybody whom the page names: who of them was erased must be known. */
export function peopleOfPage({ rows }: ForeignPage): string[] {
  return [...new Set(rows.flatMap((row) => peopleIn(plainValues(partsOf(row).private))))];
}

/** All ids under which a run of the page may be known. */
export function idsOfPage({ rows }: ForeignPage): string[] {
  return [...new Set(rows.flatMap((row) => [row.id, ...row.identifiers.map(({ id }) => id)]))];
}

/** A row as it arrived, without what was erased. */
interface Arrived {
  own: RunAlias & { endpoint: string };
  identifiers: readonly RunAlias[];
  /** Canonical JSON. */
  facts: string;
  private: JsonObject;
  run: ActionRun;
}

/** The row of no page yet, which comes after all others. */
const NEXT = Number.MAX_SAFE_INTEGER;

/** Decides what becomes of each row. Pure but for the salts. */
export function planPage(page: ForeignPage, state: MirrorState): MirrorPlan {
  if (page.rows.length > MOST_ROWS) throw new RangeError(`a page has at most ${MOST_ROWS} rows`);
  const places = createPlaces(page, state);
  const result: PageStored = { added: 0, joined: 0, changed: 0, unchanged: 0, run_ids: [], rows: [] };
  for (const row of page.rows) {
    const refused = places.refuses(row);
    if (refused) {
      (result.refused ??= []).push({ row: result.run_ids.length, ...refused });
      result.run_ids.push('');
      result.rows.push(null);
      continue;
    }
    const { outcome, ...stored } = places.put(arrive(page, row, state.erased));
    result[outcome] += 1;
    result.run_ids.push(stored.run_id);
    result.rows.push({ ...stored, fresh: outcome === 'added' });
  }
  const { rows, ...changes } = places.changes();
  const leaves = rows.map(({ row }) => mirroredLeaf(row));
  return { page: rows.length === 0 ? null : pageEvent(page, leaves), rows, ...changes, result };
}

/** The result once it is known which event the page became; null: there was nothing new. */
export function storedAs({ result }: MirrorPlan, page: number | null): PageStored {
  const rows = result.rows.map((row) =>
    row && row.seq === NEXT && page !== null ? { ...row, seq: page } : row,
  );
  return { ...result, rows };
}

function arrive({ source, endpoint }: ForeignPage, row: ForeignRun, erased: ReadonlySet<string>): Arrived {
  const { facts, private: values } = partsOf(row);
  const lost = erased.size === 0 ? [] : lossOfErased(plainValues(values), erased);
  const kept = Object.fromEntries(Object.entries(values).filter(([name]) => !lost.includes(name)));
  const own = { source, endpoint, id: row.id };
  const place = { source, endpoint, foreign_id: row.id, run_id: '', was: null };
  const run = runOfParts(place, { facts, private: kept });
  return { own, identifiers: row.identifiers, facts: canonicalJson(facts), private: kept, run };
}

type Outcome = 'added' | 'joined' | 'changed' | 'unchanged';

interface Places {
  refuses(row: ForeignRun): Omit<RefusedRow, 'row'> | null;
  put(arrived: Arrived): { outcome: Outcome } & Pick<MirroredRow, 'run_id' | 'seq' | 'position'>;
  changes(): Pick<MirrorPlan, 'rows' | 'seen' | 'runs' | 'gone'>;
}

/** What is there and what the page adds to it, row by row: a later row finds what an earlier one brought. */
function createPlaces({ at, source, endpoint }: ForeignPage, state: MirrorState): Places {
  const runs = createKnownRuns(state.runs);
  const current = new Map(state.current.map((row) => [keyOf(row), row]));
  const rows: PlannedRow[] = [];
  const seen: MirrorPlan['seen'] = [];
  const touched = new Set<string>();
  const gone = new Set<string>();

  /** Stores a row for a run; a row that was stored for the same thing counts no more. */
  const add = (row: Omit<MirroredRow, 'seq' | 'position' | 'current'>): void => {
    const before = current.get(keyOf(row)) ?? null;
    const placed: MirroredRow = { ...row, seq: NEXT, position: rows.length, current: 1 };
    rows.push({ row: placed, supersedes: before && before.seq !== NEXT ? before : null });
    current.set(keyOf(row), placed);
    if (before) runs.supersede(before);
    if (runs.add(placed)) touched.add(row.run_id);
  };

  const tell = (run_id: string, sighting: Sighting): void => {
    const known = runs.get(run_id)!;
    const facts = known.own ? seenFacts(known.record, sighting) : null;
    if (!facts) return;
    const event = { kind: 'run_seen_elsewhere', run_id, at, facts, private: {} } satisfies RunEvent;
    runs.update(run_id, applyEvent(known.record, event));
    seen.push({ event, run: runs.get(run_id)!.record });
  };

  /** All rows of one run become rows of another: two that were taken for two are one. */
  const move = (from: string, to: string): void => {
    for (const row of runs.get(from)!.rows.filter((one) => one.current === 1)) {
      if (!current.has(keyOf(row))) current.set(keyOf(row), row);
      const { seq: _, position: __, current: ___, ...kept } = row;
      // Committed to anew: of a value that was erased nothing may be missing once more.
      add({ ...kept, ...commitRow(valuesOf(row)), run_id: to, was: from, duplicate_of: null });
      const { aliases = [] } = JSON.parse(row.facts) as { aliases?: RunAlias[] };
      const own = { source: row.source, endpoint: row.endpoint, id: row.foreign_id };
      tell(to, { own, identifiers: [...aliases, { source: 'ledger', endpoint: null, id: from }], says: runOf(row) });
    }
    gone.add(from);
    touched.delete(from);
    runs.remove(from);
  };

  const isOnly = (id: string, key: string): boolean =>
    runs.get(id)!.rows.every((row) => row.current === 0 || keyOf(row) === key);

  /** A run that lost a row is what its other rows say, or is no more. */
  const leave = (id: string): void => {
    const record = mirroredRun(runs.get(id)!.rows);
    if (record) {
      runs.update(id, record);
      touched.add(id);
    } else {
      gone.add(id);
      touched.delete(id);
      runs.remove(id);
    }
  };

  return {
    refuses({ id, only_if: condition, record }) {
      const now = current.get(keyOf({ source, endpoint, foreign_id: id })) ?? null;
      return refusalOf({ condition, record, current: now }, runs);
    },
    put(arrived) {
      const { own, identifiers, run } = arrived;
      const key = keyOf({ ...own, foreign_id: own.id });
      const before = current.get(key) ?? null;
      const linked = runs.linked(arrived);
      const run_id = linked.find((id) => runs.get(id)!.own) ?? before?.run_id ?? linked[0] ?? newId(state.key, arrived);
      const moved = linked.filter((id) => id !== run_id && !runs.get(id)!.own);
      const fresh = runs.get(run_id) === null;
      const duplicate_of = fresh ? runs.alike(arrived) : before?.run_id === run_id ? before.duplicate_of : null;
      for (const id of moved) move(id, run_id);
      const now = current.get(key);
      const same = now?.run_id === run_id && isSame(now, arrived);
      // The source says another thing of it than before, so that it is a row of another run now.
      const left = now && now.run_id !== run_id && !runs.get(now.run_id)!.own ? now.run_id : null;
      const was = left !== null && isOnly(left, key) ? left : null;
      const place = { source: own.source, endpoint: own.endpoint, foreign_id: own.id, run_id, was, duplicate_of };
      if (!same) add({ ...place, facts: arrived.facts, ...commitRow(arrived.private) });
      if (left !== null) leave(left);
      const formerly = was === null ? [] : [{ source: 'ledger', endpoint: null, id: was }];
      tell(run_id, { own, identifiers: [...identifiers, ...formerly], says: run });
      const outcome = before ? (same && moved.length === 0 ? 'unchanged' : 'changed') : fresh ? 'added' : 'joined';
      const { seq, position } = current.get(key)!;
      return { run_id, seq, position, outcome };
    },
    changes: () => ({ rows, seen, gone: [...gone], runs: [...touched].map((id) => runs.get(id)!.record) }),
  };
} // prettier-ignore

function keyOf({
  source,
  endpoint,
  foreign_id,
}: Pick<MirroredRow, 'source' | 'endpoint' | 'foreign_id'>): string {
  return JSON.stringify([source, endpoint, foreign_id]);
}

function isSame(row: MirroredRow, { facts, private: values }: Arrived): boolean {
  return row.facts === facts && sameJson(valuesOf(row), values);
}

function newId(key: Uint8Array, { own, run }: Arrived): string {
  return foreignId(key, { ...own, at: run.started_at ?? run.requested_at });
}

/** What a row says of a run that has a record of its own. */
interface Sighting extends Pick<Arrived, 'own' | 'identifiers'> {
  says: ActionRun;
}

/** Null: the record tells all of it already. */
function seenFacts(record: ActionRun, { own, identifiers, says }: Sighting): JsonObject | null {
  const aliases = distinct([own, ...identifiers]).filter(
    (alias) => alias.id !== record.id && !record.aliases.some((known) => sameJson(known, alias)),
  );
  const place = { source: own.source, endpoint: own.endpoint, foreign_id: own.id };
  const contradictions = contradictionsOf(record, says, place);
  const told = (record.contradictions ?? []).filter(
    ({ source, endpoint, id }) => source === own.source && endpoint === own.endpoint && id === own.id,
  );
  const api = mergedApi(record.api, says.api);
  const nothing = aliases.length === 0 && sameJson(told, contradictions) && sameJson(api, record.api);
  if (nothing) return null;
  const facts: SeenElsewhere = { seen: { ...own }, aliases, contradictions, ...(api && { api }) };
  return JSON.parse(JSON.stringify(facts)) as JsonObject;
}

/** What this ledger knows of its own submission stays; the rest comes from the API. */
function mergedApi(known: ActionRun['api'], says: ActionRun['api']): ActionRun['api'] {
  if (!says) return known;
  const { gone: _, ...before } = known ?? says;
  return {
    ...before,
    action_run_id: before.action_run_id ?? says.action_run_id,
    url: before.url ?? says.url,
    submission: before.submission ?? says.submission,
    ...(says.gone && { gone: says.gone }),
  };
}
