import type { ActionRun } from '../../runs/action-run.ts';
import type { Paint } from './render.ts';
import * as render from './render.ts';
import type { Session } from './session.ts';
import { BLOCK, WORKSPACE } from './workspace.ts';

/** What the story is told with; `write` gets finished text. */
export interface Telling {
  session: Session;
  paint: Paint;
  write(text: string): void;
}

/** The part of a run in answers that the story shows. */
export interface RunShown extends Pick<
  ActionRun,
  'id' | 'status' | 'exit_code' | 'duration_ms' | 'workspace' | 'block' | 'block_version' | 'action'
> {
  started_at: string | null;
  environment: string | null;
  user: string | null;
  host: string | null;
  status_reason?: string | null;
  retrigger_of?: string;
  cancelled_by?: string;
}

interface Outcome {
  run: RunShown;
  finished: boolean;
  log_tail: string[];
}

const target = (action: string): Record<string, string> => ({ workspace: WORKSPACE, block: BLOCK, action });

/** An hour of work with a database. Throws where an answer is not what it has to be. */
export async function tellStory(telling: Telling): Promise<void> {
  await list(telling);
  const plan_digest = await plan(telling);
  const restart = await run(telling, plan_digest);
  await follow(telling);
  await askHistory(telling);
  await fail(telling);
  await repeat(telling, restart);
  await cancel(telling);
  await everything(telling);
}

async function tell<T>(telling: Telling, tool: string, args: object): Promise<T> {
  telling.write(render.callLine(telling.paint, tool, args));
  return (await telling.session.call(tool, args)) as T;
}

function must(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}

function mustEnd({ run }: Outcome, status: RunShown['status']): void {
  const why = run.status_reason ? ` (${run.status_reason})` : '';
  must(run.status === status, `the run of ${run.action} should be ${status}, but is ${run.status}${why}`);
}

async function list(telling: Telling): Promise<void> {
  telling.write(render.heading(telling.paint, 1, 'What can be run here?'));
  const { blocks } = await tell<{
    blocks: {
      name: string;
      workspace: string;
      version: string;
      actions: { name: string; description: string }[];
    }[];
  }>(telling, 'list_blocks', {});
  must(blocks.length === 1, `the example has one block, but ${blocks.length} were listed`);
  for (const { name, workspace, version, actions } of blocks) {
    telling.write(render.essence(`${name} ${version} in workspace ${workspace}:`));
    telling.write(render.table(actions.map((action) => [`  ${action.name}`, action.description])));
  }
}

async function plan(telling: Telling): Promise<string> {
  telling.write(render.heading(telling.paint, 2, 'What would a restart do? Planning executes nothing.'));
  const { plan: planned } = await tell<{
    plan: {
      digest: string;
      image: { reference: string } | null;
      environment: { value: string };
      mounts: { host: string }[];
      policy: { decision: string; rule: string; why: string };
    };
  }>(telling, 'plan_action', target('restart'));
  const { digest, image, environment, mounts, policy } = planned;
  telling.write(
    render.table([
      ['environment', environment.value],
      ['where', image ? `a container of ${image.reference}` : 'bash on this host'],
      ['mounts', mounts.length === 0 ? 'none' : 'the workspace, nothing else'],
      ['decision', `${policy.decision} (${policy.rule}): ${policy.why}`],
      ['digest', `${digest.slice(0, 16)}…, of everything that would run; run_action takes it below`],
    ]),
  );
  return digest;
}

async function run(telling: Telling, plan_digest: string): Promise<RunShown> {
  telling.write(
    render.heading(telling.paint, 3, 'Restart it. The record is written before anything starts.'),
  );
  const outcome = await tell<Outcome>(telling, 'run_action', {
    ...target('restart'),
    reason: 'connections pile up',
    plan_digest,
  });
  mustEnd(outcome, 'success');
  show(telling, outcome);
  return outcome.run;
}

async function follow(telling: Telling): Promise<void> {
  telling.write(
    render.heading(telling.paint, 4, 'Follow a slow one. It belongs to its supervisor, not to the call.'),
  );
  const started = await tell<Outcome>(telling, 'run_action', { ...target('backup'), wait_seconds: 0 });
  telling.write(render.essence(`run ${started.run.id} goes on in the background`));
  const args = { run_id: started.run.id };
  telling.write(render.callLine(telling.paint, 'wait_for_action_run', args));
  const outcome = (await telling.session.call('wait_for_action_run', args, (message, waited) =>
    telling.write(render.essence(telling.paint('dim', `progress after ${waited.toFixed(0)} s: ${message}`))),
  )) as Outcome;
  mustEnd(outcome, 'success');
  show(telling, outcome);
}

async function askHistory(telling: Telling): Promise<void> {
  telling.write(
    render.heading(telling.paint, 5, '“Who restarted the production database in the last hour?”'),
  );
  const found = await tell<{
    runs: RunShown[];
    total: number;
    coverage: { holds: string; missing: string }[];
  }>(telling, 'search_action_runs', {
    environment: 'production',
    block: BLOCK,
    action: 'restart',
    during: '1h',
  });
  must(found.total === 1, `one restart was made, but history tells of ${found.total}`);
  for (const { user, host, started_at, exit_code, ...row } of found.runs) {
    telling.write(
      render.essence(
        `${telling.paint('bold', `${user} on ${host}`)}, at ${started_at}: ${row.block} ${row.block_version} of ` +
          `${row.workspace} (${row.environment}), exit code ${exit_code}.`,
      ),
    );
    telling.write(render.essence(`Run ${row.id}, the only one: the total is exact.`));
  }
  for (const { holds, missing } of found.coverage) {
    telling.write(render.essence(`Covered: ${holds}. Not covered: ${missing}.`));
  }
}

async function fail(telling: Telling): Promise<void> {
  telling.write(render.heading(telling.paint, 6, 'A run that fails is an answer, too.'));
  const outcome = await tell<Outcome>(telling, 'run_action', target('migrate'));
  mustEnd(outcome, 'failed');
  telling.write(render.essence(endOf(telling, outcome.run)));
  const { lines } = await tell<{ lines: { text: string }[] }>(telling, 'read_action_run_log', {
    run_id: outcome.run.id,
    failed_task_only: true,
  });
  telling.write(
    render.logLines(
      telling.paint,
      lines.map(({ text }) => text),
    ),
  );
  const text = lines.map((line) => line.text).join('\n');
  must(text.includes('[secret]'), 'the password that the script printed was not masked');
  telling.write(render.essence('The script printed the password; [secret] is what was stored.'));
}

async function repeat(telling: Telling, old: RunShown): Promise<void> {
  telling.write(
    render.heading(
      telling.paint,
      7,
      'Re-trigger the restart: only if its content is unchanged, as a record of its own.',
    ),
  );
  const outcome = await tell<Outcome>(telling, 'retrigger_action_run', { run_id: old.id });
  mustEnd(outcome, 'success');
  must(outcome.run.retrigger_of === old.id, 'the new record does not name the old one');
  telling.write(render.essence(endOf(telling, outcome.run)));
  telling.write(render.essence(`The record says retrigger_of: ${outcome.run.retrigger_of}`));
}

async function cancel(telling: Telling): Promise<void> {
  telling.write(render.heading(telling.paint, 8, 'Stop what takes too long.'));
  const started = await tell<Outcome>(telling, 'run_action', { ...target('reindex'), wait_seconds: 1 });
  must(!started.finished, 'the slow run should still be open');
  const outcome = await tell<Outcome>(telling, 'cancel_action_run', {
    run_id: started.run.id,
    reason: 'the shop is slow',
  });
  mustEnd(outcome, 'cancelled');
  telling.write(render.essence(`${endOf(telling, outcome.run)}, by ${outcome.run.cancelled_by}`));
}

async function everything(telling: Telling): Promise<void> {
  telling.write(render.heading(telling.paint, 9, 'All of it is in the ledger.'));
  const { runs, total } = await tell<{ runs: RunShown[]; total: number }>(telling, 'search_action_runs', {
    workspace: WORKSPACE,
    order: 'oldest',
  });
  must(total === 5, `five runs were made, but history tells of ${total}`);
  telling.write(
    render.table([
      ['run', 'action', 'status', 'exit code', 'took', 'who'],
      ...runs.map((row) => [
        row.id,
        row.action ?? '',
        row.status,
        String(row.exit_code ?? '-'),
        seconds(row.duration_ms),
        `${row.user} on ${row.host}`,
      ]),
    ]),
  );
}

function show(telling: Telling, { run: ended, log_tail }: Outcome): void {
  telling.write(render.essence(endOf(telling, ended)));
  telling.write(render.logLines(telling.paint, log_tail));
}

function endOf({ paint }: Telling, { id, status, exit_code, duration_ms }: RunShown): string {
  const colour = status === 'success' ? 'green' : status === 'failed' ? 'red' : 'yellow';
  return `run ${id}: ${paint(colour, status)}, exit code ${exit_code}, ${seconds(duration_ms)}`;
}

function seconds(ms: number | null): string {
  return ms === null ? '-' : `${(ms / 1000).toFixed(1)} s`;
}
