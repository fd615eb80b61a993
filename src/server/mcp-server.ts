import { randomBytes } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY,
  McpServer,
  type CallToolResult,
  type ClientCapabilities,
  type InputRequiredResult,
  type ListToolsResult,
  type McpRequestContext,
  type ServerContext,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';
import { keyOf, may, type Identity } from '../access/identity.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { isObject } from '../shared/json.ts';
import type { Log, Tracing } from '../shared/ports.ts';
import type { Services } from '../tools/services.ts';
import { servicesFor } from '../tools/services-for.ts';
import { isApprovalNeeded, questionFor, type Tool, type ToolCall } from '../tools/tool.ts';
import { askHuman, cannotAsk, consentOf, createApprovalCodec, type ApprovalCodec } from './approval.ts';
import { callerOf, envelopeOf, identityOf } from './caller.ts';
import { checkInput } from './check-input.ts';
import { INSTRUCTIONS } from './instructions.ts';
import { neededFor, type Needed } from './needed.ts';
import { portableSchema } from './portable-schema.ts';
import { answer, failure, internal } from './present.ts';
import { progressOf } from './progress.ts';
import { registerPrompts } from './prompts.ts';
import { recordCall, type Done, type Observe } from './record-call.ts';
import { followCaller } from './told.ts';
import { traced } from './traced.ts';
import { warningsOf } from './warnings.ts';
import { registerResources } from './resources.ts';

export interface ServerParts {
  services: Services;
  tools: readonly Tool[];
  /** Who asks where nobody had to prove it: over stdio the OS user that started the server. */
  identity: Identity;
  /** Whether others could answer in place of a client that cannot ask its user. Missing: nobody is waited for. */
  desk?(identity: Identity): Promise<boolean>;
  /** Seals questions to humans; servers that share it accept each other's. */
  stateKey?: Uint8Array;
  /** Called once a client really uses the server; process start alone has no effects. */
  onFirstCall: () => void;
  log: Log;
  observe?: Observe;
  /** Null: there are no traces. */
  tracing?: Tracing | null;
}

/** Lists change only with the configuration, so clients may keep them for a while. */
const LIST_TTL_MS = 5 * 60 * 1000;

interface ConnectionParts extends ServerParts {
  /** True: lists are this identity's own. */
  personal: boolean;
  approvals: ApprovalCodec;
}

interface Registered {
  tool: Tool;
  input: StandardSchemaWithJSON;
  output: StandardSchemaWithJSON;
}

/** Tools that one identity may see. */
interface Offer {
  tools: readonly Registered[];
  /** As `tools/list` shows them: the same for everybody who has this offer. */
  list(): ListToolsResult['tools'];
}

/** Everything that is the same for all connections, made once per process. */
export function createServerFactory(parts: ServerParts): (ctx?: McpRequestContext) => McpServer {
  const registered: Registered[] = parts.tools.map((tool) => ({
    tool,
    input: portableSchema(tool.input, 'input'),
    output: portableSchema(tool.output, 'output'),
  }));
  const all = offerOf(registered);
  const reading = offerOf(registered.filter(({ tool }) => tool.effect === 'reads'));
  // Without a shared key an answer counts only where its question was asked.
  const approvals = createApprovalCodec(parts.stateKey ?? randomBytes(32));
  return (ctx) => {
    const proved = identityOf(ctx?.authInfo);
    const identity = proved ?? parts.identity;
    const services = servicesFor(parts.services, identity);
    const connection = { ...parts, services, identity, personal: proved !== null, approvals };
    return createServer(connection, may(identity, 'runner') ? all : reading, neededFor(ctx));
  };
}

function offerOf(tools: readonly Registered[]): Offer {
  let list: ListToolsResult['tools'] | null = null;
  return { tools, list: () => (list ??= tools.map(listed)) };
}

function listed({ tool, input, output }: Registered): ListToolsResult['tools'][number] {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: input['~standard'].jsonSchema.input({ target: 'draft-2020-12' }) as { type: 'object' },
    annotations: annotationsOf(tool),
    outputSchema: output['~standard'].jsonSchema.output({ target: 'draft-2020-12' }),
  };
}

function createServer(parts: ConnectionParts, offer: Offer, needed: Needed): McpServer {
  const hint = {
    ttlMs: LIST_TTL_MS,
    cacheScope: parts.personal ? ('private' as const) : ('public' as const),
  };
  const server = new McpServer(
    { name: 'polycrate-mcp', title: 'Polycrate', version: parts.services.version },
    {
      instructions: INSTRUCTIONS,
      requestState: { verify: (state, ctx) => parts.approvals.verify(state, ctx) },
      cacheHints: {
        'tools/list': hint,
        'resources/list': hint,
        'resources/templates/list': hint,
        'prompts/list': hint,
        // How long, each resource tells itself.
        'resources/read': { ttlMs: 0, cacheScope: hint.cacheScope },
      },
    },
  );
  registerTools(server, parts, { offer, needed });
  if (needed.resources) registerResources(server, parts);
  if (needed.prompts) registerPrompts(server, parts.services);
  return server;
}

function registerTools(server: McpServer, parts: ConnectionParts, { offer, needed: { calls } }: { offer: Offer; needed: Needed }): void {
  const wanted = calls?.map((name) => offer.tools.find(({ tool }) => tool.name === name));
  // A tool that does not exist is told like any other mistake, by a server that has tools.
  const callable = wanted?.every((one) => one !== undefined) ? wanted : offer.tools;
  for (const { tool, input, output } of callable) {
    server.registerTool(
      tool.name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: input,
        outputSchema: output,
        annotations: annotationsOf(tool),
      },
      (args, ctx) =>
        traced(parts.tracing, { ctx, target: { tool: tool.name } }, () =>
          callTool(parts, server, { tool, args, ctx }),
        ),
    );
  }
  server.server.registerCapabilities({ tools: { listChanged: true } });
  server.server.setRequestHandler('tools/list', () => ({ tools: offer.list() }));
} // prettier-ignore

/** Derived from the declared effect, so that no tool can forget a hint. */
export function annotationsOf(tool: Tool): Record<string, boolean> {
  return {
    readOnlyHint: tool.effect === 'reads',
    destructiveHint: tool.effect === 'destroys',
    idempotentHint: tool.idempotent,
    openWorldHint: tool.openWorld,
  };
}

interface Call {
  tool: Tool;
  args: unknown;
  ctx: ServerContext;
}

async function callTool(
  parts: ConnectionParts,
  server: McpServer,
  { tool, args, ctx }: Call,
): Promise<CallToolResult | InputRequiredResult> {
  parts.onFirstCall();
  const caller = callerOf(server, ctx, parts.identity);
  const { recorder, redaction } = parts.services;
  const { telling, answered } = followCaller(parts.services.tellings, ctx.mcpReq.signal);
  try {
    const result = await recordCall(
      { recorder, observe: parts.observe },
      { tool: tool.name, given: args, caller },
      (entry) => runTool(parts, server, { tool, args, ctx, caller, entry, telling }),
    );
    if ('question' in result) return result.question;
    answered();
    return answer(redaction, result.data, await warningsOf(parts.services, runIdOf(result.data)));
  } catch (error) {
    telling.vanished();
    const warnings = await warningsOf(parts.services, null);
    if (error instanceof AppError) return failure(redaction, error, warnings);
    parts.log('error', 'a call failed unexpectedly', {
      tool: tool.name,
      error: messageOf(error),
      stack: stackOf(error),
    });
    return failure(redaction, internal(), warnings);
  }
}

type Result = { data: object } | { question: InputRequiredResult };

async function runTool(
  { services, approvals, identity, desk }: ConnectionParts,
  server: McpServer,
  { tool, args, ctx, caller, entry, telling }: Call & Pick<ToolCall, 'caller' | 'entry' | 'telling'>,
): Promise<Done<Result>> {
  const input: object = checkInput(tool, args);
  const call = { tool: tool.name, input };
  const attempt = (instead: boolean): Promise<object> =>
    tool.run(services, input as never, {
      caller,
      signal: ctx.mcpReq.signal,
      progress: progressOf(ctx, services.redaction),
      consent: consentOf(ctx, call, identity.principal),
      desk: instead,
      entry,
      telling,
    });
  let data = await attempt(false);
  if (isApprovalNeeded(data) && !canAsk(server, ctx) && (await desk?.(identity))) data = await attempt(true);
  if (!isApprovalNeeded(data)) {
    return { value: { data }, outcome: 'answered', run_id: runIdOf(data), reads: tool.effect === 'reads' };
  }
  const ask = questionFor(tool.name, data.ask, services.redaction);
  if (!canAsk(server, ctx)) throw cannotAsk(ask, desk !== undefined);
  const question = await askHuman(approvals, {
    ctx,
    call,
    asker: keyOf(identity.principal),
    ask,
    now: services.clock.now(),
  });
  return { value: { question }, outcome: 'asked', reads: false };
}

/** The run that an answer is about, where it is about one. */
function runIdOf(result: { run?: unknown }): string | null {
  const id = isObject(result.run) ? result.run['id'] : null;
  return typeof id === 'string' ? id : null;
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

function canAsk(server: McpServer, ctx: ServerContext): boolean {
  const capabilities = (envelopeOf(ctx)[CLIENT_CAPABILITIES_META_KEY] ??
    server.server.getClientCapabilities()) as ClientCapabilities | undefined;
  const elicitation = capabilities?.elicitation as Record<string, unknown> | undefined;
  return elicitation !== undefined && (Object.keys(elicitation).length === 0 || 'form' in elicitation);
}
