import { sameJson } from '../shared/json.ts';
import { isOpen, type ActionRun, type RunAlias } from '../runs/action-run.ts';
import type { MirroredRow } from './mirrored-row.ts';
import { isAlike, isSameAction, mirroredRun } from './mirrored-run.ts';

/** A run as the ledger has it. */
export interface KnownRun {
  record: ActionRun;
  /** It has events of its own: rows are then no part of its record. */
  own: boolean;
  /** All of its rows, also superseded ones, in their order. */
  rows: MirroredRow[];
}

/** What a row that arrived knows of itself. */
export interface Claim {
  own: RunAlias;
  identifiers: readonly RunAlias[];
  run: ActionRun;
}

/** The runs among which the rows of a page find their own. */
export interface KnownRuns {
  get(id: string): KnownRun | null;
  /** A row more; true if the run is put together from its rows and is another one now. */
  add(row: MirroredRow): boolean;
  /** That row counts no more. */
  supersede(row: MirroredRow): void;
  update(id: string, record: ActionRun): void;
  remove(id: string): void;
  /** Runs that share an id with the row and are of the same action; oldest first. */
  linked(claim: Claim): string[];
  /** A run that may be the same one, or that the row claims to be although it is of another action. */
  alike(claim: Claim): string | null;
  /** Another run of that block that is open, as far as this ledger ran it or was told of it; the oldest one. */
  openOf(place: Pick<ActionRun, 'organization' | 'workspace' | 'block'>, but: string | null): string | null;
}

/** Whose open runs are in the way of another: what mirrors and logs say of open runs may be old. */
export const EXCLUSIVE_SOURCES: readonly ActionRun['source'][] = ['ledger', 'ingest'];

/** The same for a statement. */
export const EXCLUSIVE_SQL = EXCLUSIVE_SOURCES.map((source) => `'${source}'`).join(', ');

export function createKnownRuns(there: ReadonlyMap<string, KnownRun>): KnownRuns {
  const runs = new Map<string, KnownRun>();
  const byId = createIndex();
  const byAction = createIndex();
  const byBlock = createIndex();
  const note = (id: string, { record }: KnownRun): void => {
    for (const known of [id, ...record.aliases.map((alias) => alias.id)]) byId.add(known, id);
    byAction.add(actionOf(record), id);
    byBlock.add(blockOf(record), id);
  };
  for (const [id, known] of there) {
    runs.set(id, { ...known, rows: [...known.rows] });
    note(id, known);
  }
  const sharing = ({ own, identifiers }: Claim): string[] => {
    const wanted = [own, ...identifiers];
    const candidates = new Set(wanted.flatMap(({ id }) => byId.of(id)));
    return [...candidates].filter((id) => runs.has(id) && shares(id, runs.get(id)!.record, wanted)).sort();
  };
  return {
    get: (id) => runs.get(id) ?? null,
    add(row) {
      const known = runs.get(row.run_id);
      const rows = [...(known?.rows ?? []), row];
      const own = known?.own ?? false;
      runs.set(row.run_id, { own, rows, record: own ? known!.record : mirroredRun(rows)! });
      note(row.run_id, runs.get(row.run_id)!);
      return !own;
    },
    supersede(row) {
      row.current = 0;
      for (const own of runs.get(row.run_id)?.rows ?? []) {
        if (own.seq === row.seq && own.position === row.position) own.current = 0;
      }
    },
    update(id, record) {
      runs.set(id, { ...runs.get(id)!, record });
      note(id, runs.get(id)!);
    },
    remove: (id) => void runs.delete(id),
    linked: (claim) => sharing(claim).filter((id) => isSameAction(runs.get(id)!.record, claim.run)),
    alike(claim) {
      const disputed = sharing(claim)[0];
      if (disputed !== undefined) return disputed;
      const found = byAction.of(actionOf(claim.run)).filter((id) => {
        const record = runs.get(id)?.record;
        return record !== undefined && !isOfSource(record, claim.own) && isAlike(claim.run, record);
      });
      return found.sort()[0] ?? null;
    },
    openOf(place, but) {
      const there = byBlock.of(blockOf(place)).filter((id) => {
        const record = runs.get(id)?.record;
        return id !== but && record !== undefined && isOpen(record) && record.kind === 'action' && EXCLUSIVE_SOURCES.includes(record.source);
      }); // prettier-ignore
      return there.sort()[0] ?? null;
    },
  };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function shares(id: string, { aliases }: ActionRun, wanted: readonly RunAlias[]): boolean {
  return wanted.some((alias) =>
    UUID.test(alias.id)
      ? alias.id === id || aliases.some((other) => other.id === alias.id)
      : aliases.some((other) => sameJson(other, alias)),
  );
}

/** A source tells its own runs apart. */
function isOfSource({ aliases }: ActionRun, { source, endpoint }: RunAlias): boolean {
  return aliases.some((alias) => alias.source === source && alias.endpoint === endpoint);
}

function actionOf({ workspace, block, action }: ActionRun): string {
  return JSON.stringify([workspace, block, action]);
}

function blockOf({
  organization,
  workspace,
  block,
}: Pick<ActionRun, 'organization' | 'workspace' | 'block'>): string {
  return JSON.stringify([organization, workspace, block]);
}

function createIndex(): { add(name: string, id: string): void; of(name: string): string[] } {
  const ids = new Map<string, Set<string>>();
  return {
    add(name, id) {
      const set = ids.get(name);
      if (set) set.add(id);
      else ids.set(name, new Set([id]));
    },
    of: (name) => [...(ids.get(name) ?? [])],
  };
}
