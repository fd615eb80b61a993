import {
  CLIENT_INFO_META_KEY,
  type AuthInfo,
  type Implementation,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { Identity } from '../access/identity.ts';
import { cleanLine } from '../shared/clean-text.ts';
import type { Caller } from '../runs/start.ts';

/** Who asks. Modern clients say which program they are with each request, older ones once. */
export function callerOf(server: McpServer, ctx: ServerContext, { principal, roles }: Identity): Caller {
  const info = (envelopeOf(ctx)[CLIENT_INFO_META_KEY] ?? server.server.getClientVersion()) as
    Implementation | undefined;
  const client = info && {
    name: cleanLine(String(info.name)).slice(0, 200),
    version: cleanLine(String(info.version)).slice(0, 100),
  };
  return { principal, roles, client: client ?? null };
}

/** By the protocol of 2026 each request says about its client what older ones say once. */
export function isModern(ctx: ServerContext): boolean {
  return ctx.mcpReq.envelope !== undefined;
}

export function envelopeOf(ctx: ServerContext): Record<string, unknown> {
  return ctx.mcpReq.envelope ?? {};
}

/** Who a request was authenticated as; null: it did not have to be. Only our own HTTP side sets it. */
export function identityOf(auth: AuthInfo | undefined): Identity | null {
  return (auth?.extra?.[IDENTITY] as Identity | undefined) ?? null;
}

export const IDENTITY = 'identity';
