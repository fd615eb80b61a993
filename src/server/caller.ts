import {
  CLIENT_INFO_META_KEY,
  type Implementation,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { cleanLine } from '../shared/clean-text.ts';
import type { Caller } from '../runs/start.ts';

/** Who asks. Modern clients say which program they are with each request, older ones once. */
export function callerOf(server: McpServer, ctx: ServerContext, principal: Caller['principal']): Caller {
  const info = (envelopeOf(ctx)[CLIENT_INFO_META_KEY] ?? server.server.getClientVersion()) as
    Implementation | undefined;
  const client = info && {
    name: cleanLine(String(info.name)).slice(0, 200),
    version: cleanLine(String(info.version)).slice(0, 100),
  };
  return { principal, client: client ?? null };
}

export function envelopeOf(ctx: ServerContext): Record<string, unknown> {
  return ctx.mcpReq.envelope ?? {};
}
