import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type McpServer,
  type McpRequestContext,
} from '@modelcontextprotocol/server';
import type { ServerResponse } from 'node:http';
import { keyOf, may, type Identity } from '../../access/identity.ts';
import { messageOf } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Tool } from '../../tools/tool.ts';
import { sendError, sendResponse, type Problem } from './answers.ts';
import { MOST_BYTES, readJson } from './body.ts';
import { SCOPES } from '../../access/identity.ts';
import { identityOf } from '../caller.ts';
import type { SubscriptionPorts } from '../run-subscriptions.ts';
import { createSubscribers } from './subscribers.ts';
import { createSessions, type AuthedRequest } from './sessions.ts';

const KEEP_ALIVE_MS = 15_000;

export interface EndpointParts {
  factory: (ctx: McpRequestContext) => McpServer;
  tools: readonly Pick<Tool, 'name' | 'effect'>[];
  clock: Pick<Clock, 'now'>;
  log: Log;
  metadataUrl: string;
  /** To look at runs that clients want to be told of. */
  runs: Omit<SubscriptionPorts, 'log'>;
}

/** MCP over HTTP: the revision of 2026 request by request, those of 2025 in sessions. */
export interface Endpoint {
  handle(request: AuthedRequest, response: ServerResponse, identity: Identity): Promise<void>;
  sessions(): number;
  close(): Promise<void>;
}

export function createEndpoint({ factory, tools, clock, log, metadataUrl, runs }: EndpointParts): Endpoint {
  const onerror = (error: Error): void => log('debug', 'protocol error', { error: messageOf(error) });
  const subscribers = createSubscribers(
    { ledger: runs.ledger, logs: runs.logs, watch: runs.watch, log },
    (uri) => handler.notify.resourceUpdated(uri),
  );
  const subscribable = (ctx: McpRequestContext): McpServer => {
    const server = factory(ctx);
    server.server.registerCapabilities({ resources: { subscribe: true } });
    return server;
  };
  const handler = createMcpHandler(subscribable, {
    legacy: 'reject',
    keepAliveMs: KEEP_ALIVE_MS,
    maxRequestBodySize: MOST_BYTES,
    onerror,
  });
  const sessions = createSessions({
    factory(authInfo) {
      const server = factory({ era: 'legacy', ...(authInfo && { authInfo }) });
      subscribers.session(server, identityOf(authInfo)?.scope ?? null);
      return server;
    },
    clock,
  });
  const running = new Set(tools.filter(({ effect }) => effect !== 'reads').map(({ name }) => name));

  return {
    async handle(request, response, identity) {
      // What a buffering proxy would hold back is a stream.
      response.setHeader('X-Accel-Buffering', 'no');
      const session = request.headers['mcp-session-id'];
      const exchange = { request, response, owner: keyOf(identity.principal) };
      if (request.method === 'GET' || request.method === 'DELETE') {
        if (typeof session === 'string') return await sessions.use({ ...exchange, body: undefined }, session);
        return sendError(response, NOT_ALLOWED);
      }
      if (request.method !== 'POST') return sendError(response, NOT_ALLOWED);
      const body = await readJson(request);
      if (!('value' in body)) return sendError(response, body);
      const step = stepUp(identity, running, body.value, metadataUrl);
      if (step) return sendError(response, step);
      const asked = webRequest(request, response);
      if (!(await isLegacyRequest(asked, body.value))) {
        const parsedBody = await subscribers.listen(body.value, response, identity.scope);
        const { auth: authInfo } = request;
        return await sendResponse(
          response,
          await handler.fetch(asked, { parsedBody, ...(authInfo && { authInfo }) }),
        );
      }
      if (typeof session === 'string') return await sessions.use({ ...exchange, body: body.value }, session);
      if (!isInitializeRequest(body.value)) return sendError(response, NO_SESSION);
      await sessions.open({ ...exchange, body: body.value });
    },
    sessions: () => sessions.count(),
    async close() {
      subscribers.close();
      await Promise.all([handler.close(), sessions.close()]);
    },
  };
}

/** The request as the library takes it, whose body was read already. Aborted when the client is gone before its answer. */
function webRequest({ method = 'POST', headers, url }: AuthedRequest, response: ServerResponse): Request {
  const abort = new AbortController();
  response.once('close', () => response.writableEnded || abort.abort());
  if (response.destroyed) abort.abort();
  // A header is a list only where an answer sets cookies.
  return new Request(`http://${headers.host}${url}`, { method, headers: headers as Record<string, string>, signal: abort.signal });
} // prettier-ignore

const NOT_ALLOWED: Problem = {
  status: 405,
  says: 'POST is what this address takes',
  headers: { Allow: 'POST' },
};
const NO_SESSION: Problem = { status: 400, says: 'a session begins with initialize' };

/** Tokens can be asked for with more scopes; whoever has a key is simply not shown what it does not reach. */
function stepUp(identity: Identity, running: ReadonlySet<string>, body: unknown, metadataUrl: string): Problem | null {
  if (identity.principal.kind !== 'oidc' || may(identity, 'runner')) return null;
  const messages = Array.isArray(body) ? body : [body];
  const runs = messages.some(
    (message) =>
      isObject(message) && message['method'] === 'tools/call' && isObject(message['params']) && running.has(String(message['params']['name'])),
  );
  if (!runs) return null;
  const header = `Bearer error="insufficient_scope", scope="${SCOPES.reader} ${SCOPES.runner}", resource_metadata="${metadataUrl}"`;
  return { status: 403, says: `this call needs the scope ${SCOPES.runner}`, headers: { 'WWW-Authenticate': header } };
} // prettier-ignore
