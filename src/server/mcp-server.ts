import { randomBytes } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  McpServer,
  type CallToolResult,
  type ClientCapabilities,
  type Implementation,
  type InputRequiredResult,
  type ServerContext,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';
import { AppError, messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/ports.ts';
import type { Caller } from '../runs/start.ts';
import type { Services } from '../tools/services.ts';
import { isApprovalNeeded, type Tool } from '../tools/tool.ts';
import { askHuman, cannotAsk, consentOf, createApprovalCodec, type ApprovalCodec } from './approval.ts';
import { checkInput } from './check-input.ts';
import { INSTRUCTIONS } from './instructions.ts';
import { portableSchema } from './portable-schema.ts';
import { answer, failure, internal } from './present.ts';
import { progressOf } from './progress.ts';
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
  registerResources(server, parts.services);
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
  const telling = parts.services.tellings.open(ctx.mcpReq.signal);
  try {
    const input: object = checkInput(tool, args);
    const call = { tool: tool.name, input };
    const result = await tool.run(parts.services, input as never, {
      caller: { principal: parts.principal, client: clientOf(server, ctx) },
      signal: ctx.mcpReq.signal,
      progress: progressOf(ctx),
      consent: consentOf(ctx, call, parts.principal.display),
      telling,
    });
    if (!isApprovalNeeded(result)) {
      // The library writes the answer before it gives the event loop back.
      setImmediate(() => telling.told());
      return answer(result);
    }
    if (!canAsk(server, ctx)) throw cannotAsk(result.ask);
    return await askHuman(parts.approvals, { ctx, call, ask: result.ask, now: parts.services.clock.now() });
  } catch (error) {
    telling.vanished();
    if (error instanceof AppError) return failure(error);
    parts.log('error', 'a call failed unexpectedly', {
      tool: tool.name,
      error: messageOf(error),
      stack: stackOf(error),
    });
    return failure(internal());
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}

/** Modern clients say who they are with each request, older ones once. */
function clientOf(server: McpServer, ctx: ServerContext): Caller['client'] {
  const info = (envelopeOf(ctx)[CLIENT_INFO_META_KEY] ?? server.server.getClientVersion()) as
    Implementation | undefined;
  return info ? { name: String(info.name).slice(0, 200), version: String(info.version).slice(0, 100) } : null;
}

function envelopeOf(ctx: ServerContext): Record<string, unknown> {
  return ctx.mcpReq.envelope ?? {};
}

function canAsk(server: McpServer, ctx: ServerContext): boolean {
  const capabilities = (envelopeOf(ctx)[CLIENT_CAPABILITIES_META_KEY] ??
    server.server.getClientCapabilities()) as ClientCapabilities | undefined;
  const elicitation = capabilities?.elicitation as Record<string, unknown> | undefined;
  return elicitation !== undefined && (Object.keys(elicitation).length === 0 || 'form' in elicitation);
}
