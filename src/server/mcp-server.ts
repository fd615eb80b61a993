import { randomBytes } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY,
  McpServer,
  type CallToolResult,
  type ClientCapabilities,
  type InputRequiredResult,
  type ServerContext,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';
import { AppError, messageOf } from '../shared/errors.ts';
import { isObject } from '../shared/json.ts';
import type { Log } from '../shared/ports.ts';
import type { Caller } from '../runs/start.ts';
import { warningOf } from '../runs/trail.ts';
import type { Services } from '../tools/services.ts';
import { isApprovalNeeded, type Tool, type ToolCall } from '../tools/tool.ts';
import { askHuman, cannotAsk, consentOf, createApprovalCodec, type ApprovalCodec } from './approval.ts';
import { callerOf, envelopeOf } from './caller.ts';
import { checkInput } from './check-input.ts';
import { INSTRUCTIONS } from './instructions.ts';
import { portableSchema } from './portable-schema.ts';
import { answer, failure, internal } from './present.ts';
import { progressOf } from './progress.ts';
import { recordCall, type Done } from './record-call.ts';
import { registerResources } from './resources.ts';

export interface ServerParts {
  services: Services;
  tools: readonly Tool[];
  principal: Caller['principal'];
  /** Called once a client really uses the server; process start alone has no effects. */
  onFirstCall: () => void;
  log: Log;
}

/** Lists change only with the configuration, so clients may keep them for a while. */
const LIST_TTL_MS = 5 * 60 * 1000;

interface ConnectionParts extends ServerParts {
  approvals: ApprovalCodec;
}

interface Registered {
  tool: Tool;
  input: StandardSchemaWithJSON;
  output: StandardSchemaWithJSON;
}

/** Everything that is the same for all connections, made once per process. */
export function createServerFactory(parts: ServerParts): () => McpServer {
  const registered: Registered[] = parts.tools.map((tool) => ({
    tool,
    input: portableSchema(tool.input, 'input'),
    output: portableSchema(tool.output, 'output'),
  }));
  // One key per process: an answer counts only where its question was asked.
  const approvals = createApprovalCodec(randomBytes(32));
  return () => createServer({ ...parts, approvals }, registered);
}

function createServer(parts: ConnectionParts, registered: readonly Registered[]): McpServer {
  const hint = { ttlMs: LIST_TTL_MS, cacheScope: 'public' as const };
  const server = new McpServer(
    { name: 'polycrate-mcp', title: 'Polycrate', version: parts.services.version },
    {
      instructions: INSTRUCTIONS,
      requestState: { verify: (state, ctx) => parts.approvals.verify(state, ctx) },
      cacheHints: { 'tools/list': hint, 'resources/list': hint, 'resources/templates/list': hint },
    },
  );
  for (const { tool, input, output } of registered) {
    server.registerTool(
      tool.name,
      {
        title: tool.title,
        description: tool.description,
        inputSchema: input,
        outputSchema: output,
        annotations: annotationsOf(tool),
      },
      (args, ctx) => callTool(parts, server, { tool, args, ctx }),
    );
  }
  registerResources(server, parts);
  return server;
}

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
  const caller = callerOf(server, ctx, parts.principal);
  const { recorder, redaction } = parts.services;
  const telling = parts.services.tellings.open(ctx.mcpReq.signal);
  try {
    const result = await recordCall(recorder, { tool: tool.name, given: args, caller }, (entry) =>
      runTool(parts, server, { tool, args, ctx, caller, entry, telling }),
    );
    if ('question' in result) return result.question;
    // The library writes the answer before it gives the event loop back.
    setImmediate(() => telling.told());
    return answer(redaction, result.data, warningOf(recorder.standing()));
  } catch (error) {
    telling.vanished();
    const warning = warningOf(recorder.standing());
    if (error instanceof AppError) return failure(redaction, error, warning);
    parts.log('error', 'a call failed unexpectedly', {
      tool: tool.name,
      error: messageOf(error),
      stack: stackOf(error),
    });
    return failure(redaction, internal(), warning);
  }
}

type Result = { data: object } | { question: InputRequiredResult };

async function runTool(
  { services, approvals, principal }: ConnectionParts,
  server: McpServer,
  { tool, args, ctx, caller, entry, telling }: Call & Pick<ToolCall, 'caller' | 'entry' | 'telling'>,
): Promise<Done<Result>> {
  const input: object = checkInput(tool, args);
  const call = { tool: tool.name, input };
  const data = await tool.run(services, input as never, {
    caller,
    signal: ctx.mcpReq.signal,
    progress: progressOf(ctx, services.redaction),
    consent: consentOf(ctx, call, principal.display),
    entry,
    telling,
  });
  if (!isApprovalNeeded(data)) {
    return { value: { data }, outcome: 'answered', run_id: runIdOf(data), reads: tool.effect === 'reads' };
  }
  if (!canAsk(server, ctx)) throw cannotAsk(data.ask);
  const { clock, redaction } = services;
  const question = await askHuman(approvals, { ctx, call, ask: data.ask, now: clock.now(), redaction });
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
