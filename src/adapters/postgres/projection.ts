import type { ActionRun, RunEvent, LedgerEvent } from '../../runs/action-run.ts';
import { commitAll } from '../../ledger/chain.ts';
import { peopleOf } from '../../runs/people.ts';
import { callRows, type CallsEvent } from '../../runs/trail-event.ts';
import { canonicalJson } from '../../shared/json.ts';
import { narrowOf, TERM_COLUMNS, type NarrowRun } from '../sql/narrow.ts';
import { plain, plainOrNull } from './plain-text.ts';

/** What `ledger_write` takes, as JSON text: the event and what the tables say about its run afterwards. */
export function documentOf(event: RunEvent, { token, run }: { token: string; run: ActionRun }): string {
  return JSON.stringify({
    ...chained(event, token),
    run: rowOf(run),
    narrow: narrowDocumentOf(run),
    people: peopleOf(run, plain),
    aliases: run.aliases.map(({ id }) => plain(id)),
  });
}

/** What `ledger_put` takes: what the tables say about records, each term once. */
export function tablesOf(runs: readonly ActionRun[]): Record<string, unknown> {
  const places = new Map<string, number>();
  const terms: { kind: string; value: string }[] = [];
  const placeOf = (kind: string, value: string | null): number => {
    if (value === null) return 0;
    const key = `${kind} ${value}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, terms.push({ kind, value }));
    return terms.length;
  };
  const narrowed = runs.map((run, index) => {
    const { terms: texts, ...row } = narrow(run);
    const numbers = TERM_COLUMNS.map((column) => [column, placeOf(column, texts[column])]);
    return { ...row, n: index + 1, ...(Object.fromEntries(numbers) as object) };
  });
  return {
    runs: runs.map((run, index) => ({ ...rowOf(run), n: index + 1 })),
    narrow: narrowed,
    terms,
    people: runs.flatMap((run) => peopleOf(run, plain).map((person) => ({ ...person, run_id: run.id }))),
    aliases: runs.flatMap((run) => run.aliases.map(({ id }) => ({ alias: plain(id), run_id: run.id }))),
  };
}

/** What `ledger_chain` takes: an event that no table says anything about. */
export function noteDocumentOf(event: LedgerEvent, token: string): string {
  return JSON.stringify(chained(event, token));
}

/** The same for `ledger_write_calls`. */
export function callsDocumentOf(event: CallsEvent, token: string): string {
  return JSON.stringify({ ...chained(event, token), calls: callRows(event, plain) });
}

/** Canonical texts travel as strings, so that the database hashes and stores them as they are. */
function chained(event: LedgerEvent, token: string): Record<string, unknown> {
  const { commitments, values } = commitAll(event.private);
  const { at, kind, run_id, facts } = event;
  return {
    token,
    at,
    kind,
    run_id,
    facts: canonicalJson(facts),
    commitments: canonicalJson(commitments),
    private: values.map(({ salt, ...value }) => ({ ...value, salt: salt.toString('hex') })),
  };
}

/** Columns of `runs` beside the record and what the database adds. */
export const RUN_COLUMNS = [
  'id', 'kind', 'organization', 'workspace', 'environment', 'block', 'block_version', 'app_version', 'block_from',
  'action', 'status', 'exit_code', 'launched', 'requested_at', 'started_at', 'finished_at', 'duration_ms', 'host',
  'client', 'source', 'retrigger_of',
] as const; // prettier-ignore

/** A row of `runs`; the database adds `n` and `version`. */
export function rowOf(run: ActionRun): Row & { record: string } {
  return { ...columnsOf(run), record: JSON.stringify(run) };
}

type Row = Record<(typeof RUN_COLUMNS)[number], string | number | boolean | null>;

/** What the columns say beside the record. */
export function columnsOf(run: ActionRun): Row {
  return {
    id: run.id,
    kind: run.kind,
    organization: plainOrNull(run.organization),
    workspace: plain(run.workspace),
    environment: plainOrNull(run.environment?.value),
    block: plainOrNull(run.block),
    block_version: plainOrNull(run.block_version),
    app_version: plainOrNull(run.app_version),
    block_from: plainOrNull(run.block_from),
    action: plainOrNull(run.action),
    status: run.status,
    exit_code: run.exit_code,
    launched: run.launched,
    requested_at: run.requested_at,
    started_at: run.started_at,
    finished_at: run.finished_at,
    duration_ms: run.duration_ms,
    host: plainOrNull(run.hostname),
    client: plainOrNull(run.client?.name),
    source: run.source,
    retrigger_of: plainOrNull(run.retrigger_of),
  };
}

export function narrow(run: ActionRun): NarrowRun {
  return narrowOf(run, {
    people: peopleOf(run, plain).map(({ name, role }) => `${role} ${name}`),
    spell: plain,
  });
}

/** What `ledger_narrow` takes. All terms, although few events change one: whoever changed a row by hand shall not stop a run from ending. */
export function narrowDocumentOf(run: ActionRun): { row: object; terms: object } {
  const { terms, ...row } = narrow(run);
  const texts = Object.entries(terms).filter(([, text]) => text !== null);
  const none = Object.fromEntries(TERM_COLUMNS.map((column) => [column, 0]));
  return { row: { ...row, ...none }, terms: Object.fromEntries(texts) };
}
