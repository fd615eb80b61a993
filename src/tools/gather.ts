import { textOf, type JsonObject } from '../shared/json.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { isAway } from '../runners/choose.ts';
import type { KnownRunner } from '../runners/exchange.ts';
import { pageOf } from './cursor.ts';
import { blocksHere, type BlocksInput, type BlocksPage } from './list-blocks.ts';
import { workspacesHere, type WorkspacesInput, type WorkspacesPage } from './list-workspaces.ts';
import { rowsThatFit } from './present-run.ts';
import type { Services } from './services.ts';
import type { ToolCall } from './tool.ts';

// Lists of a server that has no workspaces: those of all its runners, each row with its runner, and what only a Polycrate
// API has.

type Row = Record<string, unknown>;
interface Rows {
  rows: Row[];
  next_cursor: string | null;
}
/** One page of one source. */
type Page = (cursor: string | undefined) => Promise<Rows>;

const MOST_ROWS = 5_000;
const PAGE = 100;

export async function gatheredWorkspaces(services: Services, input: WorkspacesInput, call: ToolCall): Promise<WorkspacesPage> {
  const { limit, cursor, ...filters } = input;
  const here: Page = async (at) => {
    const { workspaces, next_cursor } = await workspacesHere(services, { ...filters, limit: PAGE, cursor: at });
    return { rows: workspaces, next_cursor };
  };
  const found = await gathered(services, { tool: 'list_workspaces', filters, call, here });
  const rows = found.rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const { items, ...page } = pageOf(rows, { limit, cursor, question: ['list_workspaces', filters, services.scope], fits: fitting(limit) });
  return { workspaces: items, ...page, ...found.beside };
} // prettier-ignore

export async function gatheredBlocks(services: Services, input: BlocksInput, call: ToolCall): Promise<BlocksPage> {
  const { limit, cursor, ...filters } = input;
  const here: Page = async (at) => {
    const { blocks, next_cursor } = await blocksHere(services, { ...filters, limit: PAGE, cursor: at });
    return { rows: blocks, next_cursor };
  };
  const found = await gathered(services, { tool: 'list_blocks', filters, call, here });
  const { items, ...page } = pageOf(found.rows, { limit, cursor, question: ['list_blocks', filters, services.scope], fits: fitting(limit) });
  return { blocks: items, ...page, ...found.beside };
} // prettier-ignore

function keyOf({ organization, name, runner }: Row): string {
  return [organization ?? '-', name, runner].map(textOf).join(' ');
}

function fitting(limit: number): (rows: readonly Row[]) => number {
  return (rows) => rowsThatFit(rows, limit);
}

interface Gathering {
  tool: 'list_workspaces' | 'list_blocks';
  filters: object;
  call: ToolCall;
  /** Rows that this server has itself; only those of a Polycrate API count. */
  here: Page;
}

async function gathered(services: Services, { tool, filters, call, here }: Gathering): Promise<{ rows: Row[]; beside: object }> {
  const { caller, entry } = call;
  const known = await services.runners!.known(services.scope);
  const [there, away] = [known.filter((one) => !isAway(one)), known.filter(isAway)];
  const pageFrom = (runner: KnownRunner): Page => async (cursor) => {
    const input = { ...filters, limit: PAGE, ...(cursor !== undefined && { cursor }) } as JsonObject;
    const question = { tool, input, caller, scope: services.scope, consent: null, desk: false, entry };
    const answer = await services.runners!.ask({ runner }, question);
    const result = 'result' in answer ? answer.result : {};
    const rows = (result[tool === 'list_blocks' ? 'blocks' : 'workspaces'] ?? []) as Row[];
    const own = rows.filter((row) => isOf(runner, tool === 'list_blocks' ? row['workspace'] : row['name']));
    return { rows: own.map((row) => ({ ...row, runner: runner.name })), next_cursor: (result['next_cursor'] ?? null) as string | null };
  };
  const own = whole(here).then((rows) => rows.filter(({ source }) => source === 'api'));
  const sources = await Promise.allSettled([...there.map((runner) => whole(pageFrom(runner))), own]);
  const rows = sources.flatMap((source) => (source.status === 'fulfilled' ? source.value : []));
  const failed = sources.flatMap((source) => (source.status === 'rejected' ? [source.reason as unknown] : []));
  // What one of them does not know, another one may: refused is what all refuse.
  if (failed.length === sources.length) throw failed.find((one) => one instanceof AppError) ?? failed[0];
  const warnings = [
    ...away.map(({ name }) => `runner ${name} is away: what it has is not in this list`),
    ...failed.filter((error) => !isUnknown(error)).map((error) => `a runner could not be asked: ${messageOf(error)}`),
  ];
  return { rows, beside: warnings.length > 0 ? { warnings } : {} };
} // prettier-ignore

/** Whatever a runner says: what it was not let in with is not in its lists. */
function isOf({ workspaces }: KnownRunner, name: unknown): boolean {
  return workspaces.some((workspace) => workspace.name === name);
}

function isUnknown(error: unknown): boolean {
  return error instanceof AppError && error.code === 'unknown_name';
}

async function whole(page: Page): Promise<Row[]> {
  const all: Row[] = [];
  let cursor: string | undefined;
  do {
    const { rows, next_cursor } = await page(cursor);
    all.push(...rows);
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined && all.length < MOST_ROWS);
  return all;
}
