import { randomUUID } from 'node:crypto';
import {
  LATE_MS,
  positionMoved,
  type ForeignPage,
  type Mirror,
  type PageStored,
  type RowSeen,
  type SyncStanding,
} from '../../ledger/mirror.ts';
import { planPage, storedAs, type MirrorPlan } from '../../ledger/mirror-plan.ts';
import { AppError } from '../../shared/errors.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import type { Database } from './database.ts';
import { readMirrorState } from './mirror-state.ts';
import { plain } from './plain-text.ts';
import { documentOf, noteDocumentOf, tablesOf } from './projection.ts';
import { problemOf } from './schema.ts';

const STORE = 'SELECT outcome, seq FROM ledger_mirror($1, $2, $3, $4)';
const FAILED = 'SELECT ledger_sync_failed($1, $2, $3)';
const HEARD_OF = `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored m WHERE current = 1
  AND run_id IN (SELECT run_id FROM run_aliases WHERE alias = ANY ($1))
  AND NOT EXISTS (SELECT FROM events e WHERE e.run_id = m.run_id) ORDER BY seq, position`;
const CURRENT = `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored
  WHERE source = $1 AND endpoint = $2 AND foreign_id = ANY ($3) AND current = 1 ORDER BY seq, position`;
const BETWEEN = `SELECT m.foreign_id AS id, m.facts::json #> '{api,gone}' IS NOT NULL AS gone
  FROM narrow_runs q JOIN runs r ON r.n = q.n JOIN mirrored m ON m.run_id = r.id AND m.current = 1
  WHERE q.start BETWEEN $3::bigint - ${LATE_MS} AND $4::bigint + ${LATE_MS} AND m.source = $1 AND m.endpoint = $2
    AND (m.facts::json ->> 'requested_at')::bigint BETWEEN $3 AND $4`;
const STANDINGS = 'SELECT * FROM syncs ORDER BY source, endpoint';

type StoredSync = Omit<SyncStanding, 'position' | 'problem'> & { position: string; problem: string | null };

export function createMirror(db: Pick<Database, 'read' | 'write'>): Mirror {
  const standings = async (): Promise<SyncStanding[]> =>
    (await db.read<StoredSync>(STANDINGS)).map(({ position, problem, ...sync }) => ({
      ...sync,
      position: JSON.parse(position) as SyncStanding['position'],
      problem: problem === null ? null : (JSON.parse(problem) as SyncStanding['problem']),
    }));
  return {
    storePage: (page) => storePage(db, page),
    heardOf: (ids) => db.read<MirroredRow & object>(HEARD_OF, [ids.map(plain)]),
    current: (source, endpoint, ids) =>
      db.read<MirroredRow & object>(CURRENT, [source, plain(endpoint), ids.map(plain)]),
    between: ({ source, endpoint }, { from, to }) =>
      db.read<RowSeen & object>(BETWEEN, [source, plain(endpoint), from, to]),
    standings,
    standing: async (source, endpoint) =>
      (await standings()).find((sync) => sync.source === source && sync.endpoint === endpoint) ?? null,
    async failed(source, endpoint, problem) {
      await db.write(FAILED, [source, endpoint, JSON.stringify(problem)]);
    },
  };
}

interface Moment {
  runs: number;
  rows: number;
  schema: number;
}

/** Planned here, from a state that the database then insists on. */
async function storePage(db: Pick<Database, 'read' | 'write'>, given: ForeignPage): Promise<PageStored> {
  const page = storablePage(given);
  const token = randomUUID();
  for (;;) {
    const [moment] = await db.read<Moment>('SELECT * FROM ledger_mirror_state()');
    const { runs, rows, schema } = moment!;
    const problem = problemOf(schema);
    if (problem !== null) throw new AppError('ledger_unavailable', `nothing was mirrored: ${problem}`);
    const plan = planPage(page, await readMirrorState(db.read, page));
    const values = [runs, rows, token, planDocument(page, plan, token)];
    const [row] = await db.write<{ outcome: 'stored' | 'stale' | 'moved'; seq: number | null }>(
      STORE,
      values,
    );
    if (row!.outcome === 'stored') return storedAs(plan, row!.seq);
    if (row!.outcome === 'moved') throw positionMoved();
    // Something else was stored in between: once more, with it in view.
  }
}

/** Ids and names are columns here, and no column holds every text; the record keeps every character. */
function storablePage(page: ForeignPage): ForeignPage {
  const rows = page.rows.map((row) => ({ ...row, id: plain(row.id) }));
  return { ...page, endpoint: plain(page.endpoint), rows };
}

function planDocument(page: ForeignPage, plan: MirrorPlan, token: string): string {
  const { rows, seen, runs, gone, result } = plan;
  const starts = page.rows.map(({ record }) => record.started_at ?? record.requested_at);
  // The first event carries the token by which the call finds itself.
  const tokens = [token, ...seen.map(() => randomUUID())];
  const pageDocument = plan.page && (JSON.parse(noteDocumentOf(plan.page, tokens.shift()!)) as unknown);
  return JSON.stringify({
    page: pageDocument,
    superseded: rows.flatMap(({ supersedes }) => supersedes ?? []).map(({ seq, position }) => ({ seq, position })),
    rows: rows.map(({ row }) => row),
    gone,
    seen: seen.map(({ event, run }) => JSON.parse(documentOf(event, { token: tokens.shift()!, run })) as unknown),
    tables: runs.length === 0 ? null : tablesOf(runs),
    at: page.at,
    sync: page.told === false ? null : {
      source: page.source,
      endpoint: page.endpoint,
      added: result.added + result.joined,
      oldest: starts.length === 0 ? null : Math.min(...starts),
      newest: starts.length === 0 ? null : Math.max(...starts),
      position: page.position === undefined ? null : JSON.stringify(page.position),
      expected: page.expected === undefined ? null : JSON.stringify(page.expected),
      told: page.missing !== undefined,
      missing: page.missing ?? null,
    },
  });
} // prettier-ignore
