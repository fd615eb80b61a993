import type { ActionRun, RunEvent, LedgerEvent } from '../../runs/action-run.ts';
import { commitAll } from '../../ledger/chain.ts';
import { callRows, type CallsEvent } from '../../runs/trail-event.ts';
import { canonicalJson } from '../../shared/json.ts';
import { foldAll, plain, plainOrNull } from './plain-text.ts';

/** What `ledger_write` takes, as JSON text: the event and what the tables say about its run afterwards. */
export function documentOf(event: RunEvent, { token, run }: { token: string; run: ActionRun }): string {
  return JSON.stringify({
    ...chained(event, token),
    run: rowOf(run),
    people: peopleOf(run),
    aliases: run.aliases.map(({ id }) => plain(id)),
  });
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

/** Columns of `runs`; the database adds `version`. */
export function rowOf(run: ActionRun): Record<string, string | number | boolean | null> {
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
    words: foldAll([run.reason, run.block, run.action, run.workspace, run.status_reason]),
    record: JSON.stringify(run),
  };
}

/** The names that a `user` filter searches by. */
export function peopleOf(run: ActionRun): { name: string; role: string }[] {
  const people: [string | null | undefined, string][] = [
    [run.os_user, 'os_user'],
    [run.principal?.subject, 'principal'],
    [run.principal?.display, 'principal'],
  ];
  return people.flatMap(([name, role]) => (name ? [{ name: plain(name).toLowerCase(), role }] : []));
}
