import type { KnownRun } from '../../ledger/known-runs.ts';
import { tombstoneOf } from '../../ledger/erase.ts';
import type { ForeignPage } from '../../ledger/mirror.ts';
import { idsOfPage, peopleOfPage, type MirrorState } from '../../ledger/mirror-plan.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { around } from '../../ledger/mirrored-run.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import type { Query } from './database.ts';
import { plain, plainOrNull } from './plain-text.ts';
import { ledgerKey } from './upkeep.ts';

const COLUMNS = MIRRORED_COLUMNS.join(', ');
const CURRENT = `SELECT ${COLUMNS} FROM mirrored
  WHERE source = $1 AND endpoint = $2 AND foreign_id = ANY ($3) AND current = 1`;
const NAMED = 'SELECT DISTINCT run_id FROM run_aliases WHERE alias = ANY ($1)';
// Runs of those blocks are found in numbers: at a busy time there are many others.
const ALIKE = `SELECT DISTINCT r.id AS run_id FROM json_to_recordset($1) AS m("from" bigint, "to" bigint)
  JOIN narrow_runs q ON q.start BETWEEN m."from" AND m."to"
    AND q.block = ANY (ARRAY(SELECT t.id FROM terms t WHERE t.kind = 'block' AND t.value = ANY ($2)) || 0)
  JOIN runs r ON r.n = q.n
  JOIN json_to_recordset($3) AS x(workspace text, block text, action text)
    ON r.workspace = x.workspace AND r.block IS NOT DISTINCT FROM x.block AND r.action IS NOT DISTINCT FROM x.action`;
const OPEN = `SELECT DISTINCT r.id AS run_id FROM json_to_recordset($1) AS x(organization text, workspace text, block text)
  JOIN runs r ON r.workspace = x.workspace AND r.organization IS NOT DISTINCT FROM x.organization
    AND r.block IS NOT DISTINCT FROM x.block AND r.status IN ('pending', 'running')`;
const RUNS = `SELECT r.id, r.record, EXISTS (SELECT FROM events e WHERE e.run_id = r.id) AS own FROM runs r WHERE r.id = ANY ($1)`;
const ROWS = `SELECT ${COLUMNS} FROM mirrored WHERE run_id = ANY ($1) ORDER BY seq, position`;
const ERASED = `SELECT DISTINCT t.tombstone FROM events, json_array_elements_text(facts::json->'tombstones') AS t(tombstone)
  WHERE kind IN ('person_erased', 'ledger_pruned') AND t.tombstone = ANY ($1)`;

/** What must be known to place a page; whether it is of one moment, `ledger_mirror` tells. */
export async function readMirrorState(query: Query, page: ForeignPage): Promise<MirrorState> {
  const ids = idsOfPage(page).map(plain);
  const own = page.rows.map(({ id }) => id);
  const key = await ledgerKey(query);
  const people = new Map(peopleOfPage(page).map((name) => [tombstoneOf(name, key), name]));
  const moments = around(page.rows.map(({ record }) => record.started_at ?? record.requested_at));
  const doings = page.rows.map(({ record }) => ({
    workspace: plain(record.workspace),
    block: plainOrNull(record.block),
    action: plainOrNull(record.action),
  }));
  const blocks = doings.flatMap(({ block }) => block ?? []);
  const alone = page.rows.filter(({ only_if }) => only_if?.alone).map(({ record }) => ({
    organization: plainOrNull(record.organization),
    workspace: plain(record.workspace),
    block: plainOrNull(record.block),
  }));
  const [current, named, alike, open, erased] = await Promise.all([
    query<MirroredRow & object>(CURRENT, [page.source, page.endpoint, own]),
    query<{ run_id: string }>(NAMED, [ids]),
    query<{ run_id: string }>(ALIKE, [JSON.stringify(moments), blocks, JSON.stringify(doings)]),
    alone.length === 0 ? [] : query<{ run_id: string }>(OPEN, [JSON.stringify(alone)]),
    query<{ tombstone: string }>(ERASED, [[...people.keys()]]),
  ]);
  const wanted = [...new Set([...current, ...named, ...alike, ...open].map(({ run_id }) => run_id).concat(ids))];
  const [runs, rows] = await Promise.all([
    query<{ id: string; record: string; own: boolean }>(RUNS, [wanted]),
    query<MirroredRow & object>(ROWS, [wanted]),
  ]);
  const known = new Map<string, KnownRun>();
  for (const { id, record, own: hasEvents } of runs) {
    known.set(id, { record: JSON.parse(record) as ActionRun, own: hasEvents, rows: [] });
  }
  for (const row of rows) known.get(row.run_id)?.rows.push(row);
  return { current, runs: known, erased: new Set(erased.map(({ tombstone }) => people.get(tombstone)!)), key };
} // prettier-ignore
