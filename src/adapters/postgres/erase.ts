import { AppError } from '../../shared/errors.ts';
import type { StoredEvent } from '../../ledger/chain.ts';
import {
  callsOf, countLosses, createPerson, erasedFacts, LOG_DIGEST, lossOf, runsOf, tombstoneOf, wordsOf, type EventLoss, type Person,
} from '../../ledger/erase.ts'; // prettier-ignore
import type { ErasureRequest, ErasureSurvey, OnUpkeep } from '../../ledger/upkeep.ts';
import { rebuild, type PlainValue } from '../../ledger/verify-projection.ts';
import { learnFrom, rowLoss, type RowLoss } from '../../ledger/erase-mirrored.ts';
import type { MirroredRow } from '../../ledger/mirrored-row.ts';
import { beginUpkeep, chainEvent } from './chain.ts';
import { projector } from './projector.ts';
import { beginReading } from './reading.ts';
import { stream } from './stream.ts';
import type { Query } from './database.ts';
import { PRIVATE_ROWS, takeOutOfRows } from './erase-rows.ts';
import { forgetTerms } from './narrow-runs.ts';
import { narrowDocumentOf, rowOf } from './projection.ts';
import { ledgerKey } from './upkeep.ts';

const BATCH = 500;

type Value = PlainValue & { seq: number };
type Asked = Pick<ErasureRequest, 'subject' | 'logs'>;

/** What was found up to an event. */
interface Search {
  person: Person;
  /** Events with a value that names the person. */
  named: Set<number>;
  /** Events whose facts have a name as a word. */
  facts: number;
  last: number;
}

export async function survey(query: Query, asked: Asked, onProgress: OnUpkeep): Promise<ErasureSurvey> {
  await beginReading(query);
  const search = await find(query, asked.subject, onProgress);
  return (await lossesOf(query, search, asked.logs)).survey;
}

/** Searched before the writers are kept waiting; under the lock only what came since is searched. */
export async function erase(query: Query, request: ErasureRequest, onProgress: OnUpkeep): Promise<ErasureSurvey> {
  await beginUpkeep(query);
  let search = await find(query, request.subject, onProgress);
  await query('SELECT ledger_lock()');
  const names = search.person.names().length;
  search = await find(query, request.subject, onProgress, search);
  // A new name of the person may stand in old events too.
  if (search.person.names().length > names) search = await find(query, request.subject, onProgress);
  const { survey: found, losses, rows } = await lossesOf(query, search, request.logs);
  if (losses.length + rows.length > 0) {
    const key = await ledgerKey(query);
    const { values, mirrored_values, events, runs, requested } = found;
    const seq = await chainEvent(query, {
      kind: 'person_erased',
      run_id: '',
      at: request.at,
      facts: erasedFacts(
        { values, mirrored_values, events, runs, logs: request.logs ? requested.length : null },
        found.names.map((name) => tombstoneOf(name, key)),
      ),
      private: request.by,
    });
    await takeOut(query, { losses, version: seq }, onProgress);
    await takeOutOfRows(query, rows);
  }
  await query('COMMIT');
  return found;
} // prettier-ignore

async function find(query: Query, subject: string, onProgress: OnUpkeep, before?: Search): Promise<Search> {
  const after = before?.last ?? 0;
  const person = before?.person ?? createPerson(subject);
  const named = before?.named ?? new Set<number>();
  const [newest] = await query<{ last: number }>('SELECT coalesce(max(seq), 0) AS last FROM events');
  const { last } = newest!;
  const values = (name: string): AsyncGenerator<Value> =>
    stream<Value>(query, name, `SELECT seq, name, value FROM event_private WHERE seq > ${after} AND seq <= ${last} AND value <> 'null'`);
  for await (const value of values('learn')) person.learn(value);
  for await (const row of stream<MirroredRow>(query, 'learn_rows', PRIVATE_ROWS)) learnFrom(row, person);
  let count = 0;
  for await (const value of values('look')) {
    if (++count % 20_000 === 0) onProgress({ step: 'values', done: value.seq, total: last });
    if (person.isNamedIn(value)) named.add(value.seq);
  }
  const words = wordsOf(person.names());
  let facts = before?.facts ?? 0;
  for await (const row of stream<{ facts: string }>(query, 'all_facts', `SELECT facts FROM events WHERE seq > ${after} AND seq <= ${last} UNION ALL SELECT facts FROM mirrored WHERE seq > ${after} AND seq <= ${last}`)) {
    if (words.test(row.facts)) facts += 1;
  }
  return { person, named, facts, last };
} // prettier-ignore

async function lossesOf(
  query: Query,
  { person, named, facts }: Search,
  logs: boolean,
): Promise<{ survey: ErasureSurvey; losses: EventLoss[]; rows: RowLoss[] }> {
  const losses: EventLoss[] = [];
  const requested = new Set<string>();
  for (const seqs of batches([...named])) {
    const rows = await query<{ seq: number; run_id: string; kind: string; values: PlainValue[] }>(
      `SELECT seq, run_id, kind, (SELECT json_agg(json_build_object('name', p.name, 'value', p.value))
         FROM event_private p WHERE p.seq = e.seq) AS values FROM events e WHERE seq = ANY($1)`,
      [seqs],
    );
    for (const { seq, run_id, kind, values } of rows) {
      const { names, acted } = lossOf(values, person);
      if (acted && kind === 'run_requested') requested.add(run_id);
      losses.push({ seq, run_id, names });
    }
  }
  if (logs) losses.push(...(await digestsOf(query, [...requested])));
  const rows: RowLoss[] = [];
  for await (const row of stream<MirroredRow>(query, 'look_rows', PRIVATE_ROWS)) {
    const loss = rowLoss(row, person);
    if (loss) rows.push(loss);
    if (loss?.acted) requested.add(loss.run_id);
  }
  return {
    losses,
    rows,
    survey: { names: person.names(), requested: [...requested], facts, ...countLosses(losses, rows) },
  };
}

async function digestsOf(query: Query, runs: string[]): Promise<EventLoss[]> {
  const found = await query<{ seq: number; run_id: string }>(
    'SELECT e.seq, e.run_id FROM events e JOIN event_private p ON p.seq = e.seq AND p.name = $2 WHERE e.run_id = ANY($1)',
    [runs, LOG_DIGEST],
  );
  return found.map((event) => ({ ...event, names: [LOG_DIGEST] }));
}

async function takeOut(
  query: Query,
  { losses, version }: { losses: EventLoss[]; version: number },
  onProgress: OnUpkeep,
): Promise<void> {
  const values = losses.flatMap(({ seq, names }) => names.map((name) => ({ seq, name })));
  for (const batch of batches(values)) {
    await query(
      `DELETE FROM event_private p USING json_to_recordset($1) AS x(seq bigint, name text)
       WHERE p.seq = x.seq AND p.name = x.name`,
      [JSON.stringify(batch)],
    );
  }
  for (const batch of batches(callsOf(losses))) {
    await query(
      `UPDATE calls c SET subject = NULL, display = NULL, principal = NULL, client = NULL, arguments = NULL
       FROM json_to_recordset($1) AS x(seq bigint, position integer) WHERE c.seq = x.seq AND c.position = x.position`,
      [JSON.stringify(batch)],
    );
  }
  const runs = runsOf(losses);
  let done = 0;
  for (const batch of batches(runs)) {
    await rewrite(query, batch, version);
    onProgress({ step: 'erasing', done: (done += batch.length), total: runs.length });
  }
  await forgetTerms(query);
}

/** The tables as the events say after the erasure; the version tells writers that their copy is stale. */
async function rewrite(query: Query, runs: string[], version: number): Promise<void> {
  const stored = await query<{ run_id: string; events: (StoredEvent & { values: PlainValue[] | null })[] }>(
    `SELECT run_id, json_agg(json_build_object('seq', seq, 'at', at, 'kind', kind, 'run_id', run_id, 'facts', facts,
       'values', (SELECT json_agg(json_build_object('name', p.name, 'value', p.value)) FROM event_private p WHERE p.seq = e.seq)
     ) ORDER BY seq) AS events FROM events e WHERE run_id = ANY($1) GROUP BY run_id`,
    [runs],
  );
  const rebuilt = stored.map(({ run_id, events }) => {
    const parts = events.map((event) => ({ event, values: event.values ?? [] }));
    const tables = rebuild({ events: parts, mirrored: [] }, projector);
    if (tables === null || tables === 'impossible') throw notInOrder(run_id);
    return tables;
  });
  const rows = rebuilt.map(({ run }) => ({ ...rowOf(run), version }));
  const columns = Object.keys(rows[0]!).filter((column) => column !== 'id');
  const narrow = rebuilt.map(({ run }) => ({ id: run.id, narrow: narrowDocumentOf(run) }));
  await query(
    `SELECT ledger_narrow(r.n, coalesce(r.started_at, r.requested_at), x.narrow)
     FROM json_to_recordset($1) AS x(id text, narrow json) JOIN runs r ON r.id = x.id`,
    [JSON.stringify(narrow)],
  );
  await query(
    `UPDATE runs r SET (${columns.join(', ')}) = (${columns.map((column) => `x.${column}`).join(', ')})
     FROM json_populate_recordset(NULL::runs, $1) AS x WHERE r.id = x.id`,
    [JSON.stringify(rows)],
  );
  const people = rebuilt.flatMap((tables) => [...tables.people.values()].map((person) => ({ ...person, run_id: tables.run.id })));
  await query('DELETE FROM run_people WHERE run_id = ANY($1)', [runs]);
  await query('INSERT INTO run_people (name, run_id, role) SELECT name, run_id, role FROM json_populate_recordset(NULL::run_people, $1)', [JSON.stringify(people)]);
  // The scope of an idempotency key has the name of who used it.
  await query('DELETE FROM requests WHERE run_id = ANY($1)', [runs]);
} // prettier-ignore

function* batches<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += BATCH) yield items.slice(from, from + BATCH);
}

function notInOrder(run_id: string): AppError {
  const says = `nothing was erased: run ${run_id} cannot be rebuilt from its events`;
  return new AppError('ledger_unavailable', says, {
    next: '`polycrate-mcp ledger verify` says what is wrong',
  });
}
