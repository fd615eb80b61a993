import { z } from 'zod';
import { resolveInterval } from '../history/interval.ts';
import type { CallFilters, CallPosition, RecordedCall } from '../history/trail.ts';
import { keyOf, type Principal } from '../access/identity.ts';
import type { Caller } from '../runs/start.ts';
import { shortened } from '../runs/trail-arguments.ts';
import { CALL_OUTCOMES } from '../runs/trail-event.ts';
import type { Json } from '../shared/json.ts';
import { decodeCursor, encodeCursor, foreignCursor } from './cursor.ts';
import * as field from './fields.ts';
import { checkKnown } from './known-value.ts';
import { iso, rowsThatFit } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

/** Of one row; the ledger holds more. */
const ARGUMENT_CHARACTERS = 300;
/** Candidates for a suggestion. */
const MOST_NAMES = 20_000;

const inputSchema = z.object({
  ...field.sameInterval,
  tool: field.names.describe('resource: what was read; report: refused reports'),
  principal: field.names.describe('Who asked; case-insensitive'),
  outcome: z.union([z.enum(CALL_OUTCOMES), z.array(z.enum(CALL_OUTCOMES))]).optional(),
  limit: field.limit,
  cursor: field.sameCursor,
});

export const searchTrail = defineTool({
  name: 'search_trail',
  title: "Search the assistants' own calls",
  description:
    'Answers what assistants asked this server, were refused, and had approved by a human, newest first, exactly counted; times as in search_action_runs. The outcome of a run that started is launched, or approved by a human. Arguments are shortened, without secrets.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: z.object({
    calls: field.openObjects,
    ...field.page,
    interval: z.looseObject({}),
    filters: z.looseObject({}),
  }),
  async run(services, { limit, cursor, during, since, until, timezone, ...named }, { caller }) {
    const resolved = await resolveInterval(
      { during, since, until, timezone },
      { now: services.clock.now(), zone: services.zone },
    );
    const filters = filtersOf(named);
    const question = ['search_trail', named, during, since, until, timezone, services.scope, keyOf(caller.principal)];
    const after = positionOf(decodeCursor(question, cursor));
    // What was asked a moment ago counts too.
    await services.recorder.flush();
    await checkNames(services, filters, caller);
    const found = await services.trail.search({ filters: { ...filters, span: resolved.span }, limit, after });
    const rows = found.calls.map(leanCall);
    const fits = rowsThatFit(rows, limit);
    // The last row of an answer that was cut short is where the next one goes on.
    const next = fits < rows.length ? found.calls[fits - 1]! : found.next;
    return {
      calls: rows.slice(0, fits),
      returned: fits,
      total: found.total,
      next_cursor: next && encodeCursor(question, [next.at, next.id]),
      interval: { ...resolved.interval },
      filters: { ...filters },
      ...(!services.recorder.standing().recording && { note: 'calls are not recorded now (POLYCRATE_MCP_TRAIL)' }),
    };
  },
}); // prettier-ignore

type Named = Pick<z.output<typeof inputSchema>, 'tool' | 'principal' | 'outcome'>;

function filtersOf({ tool, principal, outcome }: Named): Omit<CallFilters, 'span'> {
  const lists = {
    tool: field.listOf(tool),
    principal: field.listOf(principal)?.map((name) => name.toLowerCase()),
    outcome: field.listOf(outcome),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list !== undefined));
}

/** An empty answer never hides a typing error; who asks now is known without having asked before. */
async function checkNames(
  { trail, toolNames }: Services,
  { tool, principal }: Omit<CallFilters, 'span'>,
  caller: Caller,
): Promise<void> {
  const check = async (column: 'tool' | 'principal', given: readonly string[], more: readonly string[]): Promise<void> => {
    const unknown = given.filter((name) => !more.includes(name));
    if (unknown.length === 0) return;
    const known = [...more, ...(await trail.names(column, MOST_NAMES))];
    for (const name of unknown) checkKnown(column, name, known);
  };
  const { subject, display } = caller.principal;
  await check('tool', tool ?? [], [...toolNames, 'resource', 'approve', 'deny', 'report']);
  await check('principal', principal ?? [], [display.toLowerCase(), subject.toLowerCase()]);
} // prettier-ignore

function leanCall(call: RecordedCall): Record<string, unknown> {
  const principal = parsed(call.principal) as Pick<Principal, 'display'> | null;
  const client = parsed(call.client) as Caller['client'];
  return {
    id: call.id,
    at: iso(call.at),
    tool: call.tool,
    outcome: call.outcome,
    code: call.code,
    duration_ms: call.duration_ms,
    run_id: call.run_id,
    principal: principal?.display ?? null,
    client: client && [client.name, client.version].filter((part) => part !== null).join(' '),
    arguments: shortened(parsed(call.arguments), ARGUMENT_CHARACTERS),
  };
}

function parsed(text: string | null): Json {
  return text === null ? null : (JSON.parse(text) as Json);
}

function positionOf(position: unknown): CallPosition | null {
  if (position === null) return null;
  const [at, id] = Array.isArray(position) ? (position as unknown[]) : [];
  if (typeof at === 'number' && typeof id === 'string') return { at, id };
  throw foreignCursor();
}
