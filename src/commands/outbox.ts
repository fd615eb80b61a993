import type { App } from '../compose.ts';
import type { OutboxVerb } from '../config.ts';
import { NOT_DUE, type Submission } from '../runs/outbox.ts';
import { AppError } from '../shared/errors.ts';
import { count } from './count.ts';

const MOST = 10_000;

export interface OutboxTask {
  verb: OutboxVerb;
  options: Readonly<Record<string, string>>;
}

/** What is still to be reported to a Polycrate API. Answers the exit code. */
export async function outbox(app: App, { verb, options }: OutboxTask): Promise<number> {
  try {
    return verb === 'list' ? await list(app, options) : await retry(app, options);
  } finally {
    await app.close();
  }
}

async function list(app: App, { json }: OutboxTask['options']): Promise<number> {
  const found = await app.outbox.list(MOST);
  const rows = found.map((submission) => app.services.redaction.json(rowOf(submission)));
  if (json !== undefined) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return 0;
  }
  for (const row of rows) {
    const what = row.state === 'dead' ? 'given up' : row.state;
    process.stdout.write(`${row.run_id}  ${row.endpoint}  ${what}  ${count(row.attempts, 'failed attempt')}\n`);
    if (row.problem !== null) process.stdout.write(`    ${row.problem}\n`);
  }
  const dead = rows.filter(({ state }) => state === 'dead').length;
  process.stdout.write(rows.length === 0 ? 'Everything is delivered.\n' : `${count(rows.length, 'report')}, ${dead} of them given up.\n`);
  return 0;
} // prettier-ignore

async function retry(app: App, { run, json }: OutboxTask['options']): Promise<number> {
  const wanted = run === undefined ? null : run.split('\n');
  const revived = await app.outbox.retry(wanted, app.services.clock.now());
  if (wanted !== null && revived < wanted.length) {
    throw new AppError('unknown_name', `only ${revived} of these runs had a report that was given up`, {
      next: '`polycrate-mcp outbox list` shows them',
    });
  }
  const told = json === undefined ? `${count(revived, 'report')} will be tried again.` : JSON.stringify({ revived });
  process.stdout.write(`${told}\n`);
  if (revived > 0 && !(await app.submitter.drain(RETRY_MS))) {
    process.stderr.write('Not all could be delivered yet; a server goes on with them.\n');
  }
  return 0;
} // prettier-ignore

const RETRY_MS = 30_000;

function rowOf({ run_id, endpoint, phase, attempts, problem, due_at, created_at, conflict, remote }: Submission) {
  return {
    run_id,
    endpoint,
    state: phase,
    attempts,
    problem,
    requested_at: new Date(created_at).toISOString(),
    next_attempt_at: phase === 'dead' || due_at === NOT_DUE ? null : new Date(due_at).toISOString(),
    action_run_id: remote?.id ?? null,
    conflict,
  };
} // prettier-ignore
