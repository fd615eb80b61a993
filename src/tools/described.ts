import { isOpen, type ActionRun } from '../runs/action-run.ts';
import { AppError } from '../shared/errors.ts';
import { maskSecrets } from '../shared/secrets.ts';
import { findBlock, findWorkspace } from '../workspaces/find.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import { fullRun } from './present-run.ts';
import type { Services } from './services.ts';

// Workspaces, blocks and runs as resources show them.

/** Lines of the log resource; pages of longer logs come from read_action_run_log. */
const LOG_LINES = 1_000;

export interface Loaded {
  value: object | string;
  /** It says the same an hour later. */
  settled?: boolean;
}

export async function workspaceResource(
  store: Pick<WorkspaceStore, 'list'>,
  workspace: string,
): Promise<object> {
  const { blocks, extraenv, unread: _, ...found } = findWorkspace(await store.list(workspace), workspace);
  return {
    ...found,
    extraenv: Object.keys(extraenv),
    config: { ...found.config, globals: maskSecrets(found.config.globals) },
    meta: maskSecrets(found.meta),
    blocks: blocks.map(({ name, version }) => ({ name, version })),
  };
}

export async function blockResource(
  store: Pick<WorkspaceStore, 'list'>,
  workspace: string,
  block: string,
): Promise<object> {
  const found = findBlock(findWorkspace(await store.list(workspace), workspace), block);
  return { ...found, config: maskSecrets(found.config) };
}

async function runOf({ ledger }: Pick<Services, 'ledger'>, id: string): Promise<ActionRun> {
  const run = await ledger.find(id);
  if (!run) throw new AppError('unknown_name', `there is no run ${id}`);
  return run;
}

/** A record is settled when the run is over and nothing of it is still to be told a Polycrate API. */
export async function runResource(
  services: Pick<Services, 'ledger' | 'outbox'>,
  id: string,
): Promise<Loaded> {
  const run = await runOf(services, id);
  const settled = !isOpen(run) && (await services.outbox.find(run.id)) === null;
  return { value: fullRun(run), settled };
}

/** The end of a run's log; it is settled when all of it has arrived. */
export async function logResource(services: Pick<Services, 'ledger' | 'logs'>, id: string): Promise<Loaded> {
  const run = await runOf(services, id);
  const query = { mode: 'tail', lines: LOG_LINES, line: 1, stream: null, matches: null } as const;
  const slice = await services.logs.read(run.id, query);
  const whole = slice !== null && (run.log === null || run.log.lines === slice.total_lines);
  const value = (slice?.lines ?? []).map((line) => line.text).join('\n');
  return { value, settled: whole && !isOpen(run) };
}
