import type { ActionRun } from '../../runs/action-run.ts';
import type { KnownRun } from '../../ledger/known-runs.ts';
import { tombstoneOf } from '../../ledger/erase.ts';
import type { ForeignPage, ForeignRecord } from '../../ledger/mirror.ts';
import { idsOfPage, peopleOfPage, type MirrorState } from '../../ledger/mirror-plan.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { around } from '../../ledger/mirrored-run.ts';
import { isMarked } from './erase.ts';
import type { OpenLedger } from './open.ts';
import { storable } from './storable.ts';

/** Reads what must be known to place a page; callers hold the transaction. */
export function createMirrorState(open: OpenLedger): (page: ForeignPage) => MirrorState {
  const { db, key } = open;
  const marked = isMarked(db);
  const columns = MIRRORED_COLUMNS.join(', ');
  const current = db.prepare(
    `SELECT ${columns} FROM mirrored WHERE source = ? AND endpoint = ? AND foreign_id = ? AND current = 1`,
  );
  const byAlias = db.prepare('SELECT run_id FROM run_aliases WHERE alias = ?').pluck();
  const alike = createAlike(open);
  const selectOpen = db
    .prepare(
      `SELECT id FROM runs WHERE workspace = ? AND organization IS ? AND block IS ? AND status IN ('pending', 'running')`,
    )
    .pluck();
  const read = createKnownRun(open);
  return (page) => {
    const rows = page.rows.flatMap(({ id }) => {
      const row = current.get(page.source, page.endpoint, id) as MirroredRow | undefined;
      return row ? [row] : [];
    });
    const ids = new Set([...rows.map(({ run_id }) => run_id), ...idsOfPage(page)]);
    for (const id of idsOfPage(page)) for (const run_id of byAlias.all(id) as string[]) ids.add(run_id);
    const there = new Set(rows.map(({ foreign_id }) => foreign_id));
    for (const { record, only_if } of page.rows) {
      if (only_if?.alone) {
        const { workspace, organization, block } = record;
        for (const run_id of selectOpen.all(workspace, organization, block) as string[]) ids.add(run_id);
      }
    }
    const news = page.rows.filter(({ id }) => !there.has(id)).map(({ record }) => record);
    for (const run_id of alike(news)) ids.add(run_id);
    const runs = new Map([...ids].flatMap((id) => read(id) ?? []).map((known) => [known.record.id, known]));
    const erased = new Set(peopleOfPage(page).filter((name) => marked(tombstoneOf(name, key))));
    return { current: rows, runs, erased, key };
  };
}

/** Ids of runs of the same blocks and actions that began at the same time, or nearly. */
function createAlike({ db }: OpenLedger): (records: readonly ForeignRecord[]) => string[] {
  const select = db.prepare(
    // In order of their starts: `runs` has no such order. Blocks in numbers: at a busy time there are many others.
    `SELECT r.id, r.workspace, r.block, r.action FROM narrow_runs q CROSS JOIN runs r ON r.n = q.n
     WHERE q.start BETWEEN ? AND ? AND q.block IN (SELECT value FROM json_each(?))`,
  );
  const blocks = db.prepare("SELECT id FROM terms WHERE kind = 'block' AND value IN (SELECT value FROM json_each(?))").pluck();
  return (records) => {
    const named = new Set(records.flatMap(({ block }) => (block === null ? [] : storable(block))));
    const known = blocks.all(JSON.stringify([...named])) as number[];
    if (records.some(({ block }) => block === null)) known.push(0);
    if (known.length === 0) return [];
    const wanted = new Set(records.map(doingOf));
    return around(records.map((record) => record.started_at ?? record.requested_at)).flatMap(({ from, to }) =>
      (select.all(from, to, JSON.stringify(known)) as Doing[]).filter((run) => wanted.has(doingOf(run))).map(({ id }) => id),
    );
  };
} // prettier-ignore

type Doing = Pick<ActionRun, 'id' | 'workspace' | 'block' | 'action'>;

function doingOf({ workspace, block, action }: Omit<Doing, 'id'>): string {
  return JSON.stringify([workspace, block, action].map((name) => name && storable(name)));
}

function createKnownRun({ db }: OpenLedger): (id: string) => KnownRun | null {
  const record = db.prepare('SELECT record FROM runs WHERE id = ?').pluck();
  const own = db.prepare('SELECT 1 FROM events WHERE run_id = ? LIMIT 1').pluck();
  const rows = db.prepare(
    `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE run_id = ? ORDER BY seq, position`,
  );
  return (id) => {
    const text = record.get(id) as string | undefined;
    if (text === undefined) return null;
    const run = JSON.parse(text) as ActionRun;
    return { record: run, own: own.get(id) !== undefined, rows: rows.all(id) as MirroredRow[] };
  };
}
