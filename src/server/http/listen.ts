import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MACHINE, may, keyOf, type Identity } from '../../access/identity.ts';
import type { Authenticator } from '../../access/authenticate.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { delivering } from '../delivery.ts';
import { createServerFactory, type ServerParts } from '../mcp-server.ts';
import type { ApprovalPage } from './approval-page.ts';
import { sendError, sendJson, type Problem } from './answers.ts';
import { boundConnections } from './connections.ts';
import { createEndpoint, type Endpoint } from './endpoint.ts';
import { authenticate, type GateParts } from './gate.ts';
import { refuseStrangers, type AllowedPlaces } from './guard.ts';
import { METADATA_PATH, metadataUrlOf, protectedResource } from './metadata.ts';
import { createRateLimit } from './rate-limit.ts';
import { API_PREFIX, refusalOf, sendReply } from '../platform-api/answers.ts';
import { createPlatformApi, type PlatformApi } from '../platform-api/platform-api.ts';
import { RUNNER_PREFIX } from '../../runners/protocol.ts';
import type { RunnerService } from '../../runners/service.ts';
import { createRunnerApi, type RunnerApi } from '../runner-api/runner-api.ts';
import { SCHEMA_PATH, sendSchema } from '../platform-api/schema.ts';
import type { Ingest } from '../../platform/ingest/ingest.ts';
import type { AuthedRequest } from './sessions.ts';

export interface HttpOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** How clients reach us: `https://mcp.example.com`; null: the address that we listen at. */
  publicUrl: string | null;
  allowed: AllowedPlaces;
  /** Null: everybody is the one who started the server. */
  authenticator: Authenticator | null;
  issuer: string | null;
  requestsPerMinute: number | null;
  /** Where people approve runs. */
  page: ApprovalPage;
  clock: Clock;
  /** Takes the runs that others report. */
  ingest: Ingest;
  /** What runners ask for. */
  runners: RunnerService;
  /** Throws what is wrong where questions about history could not be answered. */
  ready: () => Promise<void>;
  /** Text of the Prometheus format and its content type. */
  metrics: () => Promise<{ type: string; text: string }>;
}

export interface HttpServer {
  url: string;
  sessions(): number;
  /** Takes no new requests, gives open ones `grace_ms`, then ends. Runs go on. */
  close(grace_ms: number): Promise<void>;
}

/** A client has so long for its headers, and for a whole request. */
const HEADERS_MS = 15_000;
const REQUEST_MS = 60_000;
/** How late it may be noticed that a client took longer. */
const CHECK_MS = 5_000;
/** Longer than proxies keep idle connections. */
const IDLE_MS = 75_000;
const MOST_CONNECTIONS = 10_000;
export const MCP_PATH = '/mcp';

/** Serves MCP, and what operators and other machines ask of a server, at one address. */
export async function serveOverHttp(parts: ServerParts, options: HttpOptions): Promise<HttpServer> {
  const server = createServer({
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: IDLE_MS,
    maxHeaderSize: 16 * 1024,
    insecureHTTPParser: false,
  });
  boundConnections(server, MOST_CONNECTIONS);
  await listening(server, options);
  const { port } = server.address() as AddressInfo;
  const own = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  const endpointUrl = new URL(MCP_PATH, options.publicUrl ?? own);
  const gate: GateParts = {
    authenticator: options.authenticator,
    fallback: parts.identity,
    metadataUrl: metadataUrlOf(endpointUrl),
    now: () => options.clock.now(),
  };
  const endpoint = createEndpoint({
    factory: createServerFactory(parts),
    tools: parts.tools,
    clock: options.clock,
    log: parts.log,
    metadataUrl: gate.metadataUrl,
    runs: parts.services,
  });
  const state = { draining: false };
  const { services } = parts;
  const api = createPlatformApi({ services, ingest: options.ingest, origin: endpointUrl.origin });
  const runners = createRunnerApi({ service: options.runners, log: parts.log });
  const route = routes({ options, gate, endpoint, api, runners, endpointUrl, state });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    delivering(response, () => route(request, response)).catch((error: unknown) => {
      parts.log('error', 'a request failed unexpectedly', { error: messageOf(error) });
      sendProblem(request, response, {
        status: 500,
        says: 'the server failed to answer; its report says why',
      });
    });
  });
  return {
    url: endpointUrl.href,
    sessions: () => endpoint.sessions(),
    async close(grace_ms) {
      state.draining = true;
      runners.close();
      await drain(server, endpoint, grace_ms);
    },
  };
}

async function listening(server: Server, { host, port }: HttpOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface Routing {
  options: HttpOptions;
  gate: GateParts;
  endpoint: Endpoint;
  api: PlatformApi;
  runners: RunnerApi;
  endpointUrl: URL;
  state: { draining: boolean };
}

function routes({ options, gate, endpoint, api, runners, endpointUrl, state }: Routing) {
  const limit = createRateLimit(options.requestsPerMinute);
  const document = protectedResource(endpointUrl, options.issuer);

  const entered = async (request: AuthedRequest, response: ServerResponse, isRunner: boolean): Promise<Identity | null> => {
    const passed = await authenticate(gate, request.headers.authorization);
    if ('problem' in passed) {
      sendProblem(request, response, passed.problem);
      return null;
    }
    if (passed.auth) request.auth = passed.auth;
    // What a runner records must not wait for its turn among questions.
    if (isRunner && may(passed.identity, MACHINE)) return passed.identity;
    const wait = await limit.take(keyOf(passed.identity.principal));
    if (wait === null) return passed.identity;
    sendProblem(request, response, {
      status: 429,
      says: `too many requests; try again in ${wait} s`,
      headers: { 'Retry-After': String(wait) },
    });
    return null;
  };

  return async (request: AuthedRequest, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '/').split('?', 1)[0]!;
    if (isAmbiguous(request)) {
      return sendError(response, { status: 400, says: 'a header came twice that may come once', headers: { Connection: 'close' } });
    }
    if (path === '/healthz') return sendJson(response, { status: 200, value: { status: 'ok' } });
    if (path === '/readyz') return await readiness(response, options, state.draining);
    const stranger = refuseStrangers(request.headers, options.allowed);
    if (stranger) return sendError(response, stranger);
    if (path === METADATA_PATH || path === `${METADATA_PATH}${MCP_PATH}`) {
      return sendJson(response, { status: 200, value: document, headers: OPEN });
    }
    if (state.draining) {
      return sendProblem(request, response, { status: 503, says: 'this server is ending', headers: { 'Retry-After': '1', Connection: 'close' } });
    }
    if (options.page.has(path)) return await options.page.handle(request, response);
    if (path === SCHEMA_PATH && request.method === 'GET') return await sendSchema(response, request.headers.accept);
    const isApi = path.startsWith(API_PREFIX);
    if (path !== MCP_PATH && path !== '/metrics' && !isApi) {
      return sendError(response, { status: 404, says: `there is nothing here; MCP is at ${MCP_PATH}` });
    }
    const isRunner = path.startsWith(RUNNER_PREFIX);
    const identity = await entered(request, response, isRunner);
    if (!identity) return;
    if (isRunner) return await runners.handle(request, response, identity);
    if (!may(identity, 'reader')) {
      return sendProblem(request, response, { status: 403, says: 'the key of a runner opens nothing else' });
    }
    if (isApi) return await api.handle(request, response, identity);
    if (path === MCP_PATH) return await endpoint.handle(request, response, identity);
    if (!may(identity, 'admin')) return sendError(response, { status: 403, says: 'metrics are for the role admin' });
    const { type, text } = await options.metrics();
    response.writeHead(200, { 'Content-Type': type }).end(text);
  };
} // prettier-ignore

/** Of these a proxy may read the last one while we read the first. */
const ONCE = ['host', 'origin', 'authorization', 'content-type', 'mcp-session-id'] as const;

function isAmbiguous({ headersDistinct }: IncomingMessage): boolean {
  return ONCE.some((name) => (headersDistinct[name]?.length ?? 0) > 1);
}

/** In the words of what was asked: MCP, or the API. */
function sendProblem({ url = '/' }: IncomingMessage, response: ServerResponse, problem: Problem): void {
  if (url.startsWith(API_PREFIX)) sendReply(response, refusalOf(problem));
  else sendError(response, problem);
}

/** Anybody may read where tokens come from, also a page. */
const OPEN = { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'max-age=300' };

async function readiness(response: ServerResponse, { ready }: HttpOptions, draining: boolean): Promise<void> {
  if (draining) return sendJson(response, { status: 503, value: { status: 'draining' } });
  try {
    await ready();
    sendJson(response, { status: 200, value: { status: 'ready' } });
  } catch {
    // What exactly is wrong is for the operator's report and `doctor`, not for everybody.
    sendJson(response, { status: 503, value: { status: 'ledger unavailable' } });
  }
}

async function drain(server: Server, endpoint: Endpoint, grace_ms: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => {
    void endpoint.close().finally(() => server.closeAllConnections());
  }, grace_ms);
  await closed;
  clearTimeout(late);
  await endpoint.close();
}
