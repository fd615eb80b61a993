import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo, McpServer } from '@modelcontextprotocol/server';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import type { Clock } from '../../shared/ports.ts';
import { sendError } from './answers.ts';

/** Open sessions of one principal; the one that was idle for longest gives way. */
const MOST_PER_OWNER = 50;
const MOST = 2_000;
const IDLE_MS = 30 * 60 * 1000;
const SWEEP_MS = 60_000;
const KEEP_ALIVE_MS = 15_000;

export type AuthedRequest = IncomingMessage & { auth?: AuthInfo };

interface Session {
  transport: NodeStreamableHTTPServerTransport;
  server: McpServer;
  owner: string;
  used_at: number;
  /** Requests and streams that are open. */
  open: number;
}

export interface Exchange {
  request: AuthedRequest;
  response: ServerResponse;
  body: unknown;
  /** Whose session it may be. */
  owner: string;
}

/** Clients of the 2025 revisions, which open a session, keep a stream open and are asked questions over it. */
export interface Sessions {
  /** A first `initialize`: opens a session. */
  open(exchange: Exchange): Promise<void>;
  /** Anything with a session id; a session of somebody else does not exist. */
  use(exchange: Exchange, id: string): Promise<void>;
  count(): number;
  close(): Promise<void>;
}

export interface SessionParts {
  factory: (auth: AuthInfo | undefined) => McpServer;
  clock: Pick<Clock, 'now'>;
}

export function createSessions({ factory, clock }: SessionParts): Sessions {
  const sessions = new Map<string, Session>();

  const end = async (id: string): Promise<void> => {
    const session = sessions.get(id);
    if (!session) return;
    sessions.delete(id);
    await session.server.close();
  };
  const idlest = (candidates: [string, Session][]): string | null => {
    const idle = candidates.filter(([, { open }]) => open === 0);
    return idle.sort(([, a], [, b]) => a.used_at - b.used_at)[0]?.[0] ?? null;
  };
  const sweeper = setInterval(() => {
    const before = clock.now() - IDLE_MS;
    for (const [id, { open, used_at }] of sessions) if (open === 0 && used_at < before) void end(id);
  }, SWEEP_MS).unref();

  const handle = async (session: Session, { request, response, body }: Exchange): Promise<void> => {
    session.open += 1;
    response.once('close', () => {
      session.open -= 1;
      session.used_at = clock.now();
    });
    await session.transport.handleRequest(request, response, body);
  };

  return {
    async open(exchange) {
      const own = [...sessions].filter(([, { owner }]) => owner === exchange.owner);
      const full = own.length >= MOST_PER_OWNER || sessions.size >= MOST;
      const leaving = full ? idlest(own) : null;
      if (full && leaving === null) {
        return sendError(exchange.response, { status: 503, says: 'too many sessions are open; close one', headers: { 'Retry-After': '5' } });
      }
      if (leaving !== null) await end(leaving);
      const server = factory(exchange.request.auth);
      const transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        keepAliveMs: KEEP_ALIVE_MS,
        onsessioninitialized: (id) => void sessions.set(id, session),
        onsessionclosed: (id) => end(id),
      });
      const session: Session = { transport, server, owner: exchange.owner, used_at: clock.now(), open: 0 };
      await server.connect(transport);
      await handle(session, exchange);
    },
    async use(exchange, id) {
      const session = sessions.get(id);
      if (session?.owner !== exchange.owner) {
        return sendError(exchange.response, { status: 404, says: 'this session does not exist, or ended' });
      }
      await handle(session, exchange);
    },
    count: () => sessions.size,
    async close() {
      clearInterval(sweeper);
      await Promise.all([...sessions.keys()].map(end));
    },
  };
} // prettier-ignore
