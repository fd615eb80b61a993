import { once } from 'node:events';
import type { McpServer } from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { messageOf } from '../shared/errors.ts';
import { isObject } from '../shared/json.ts';
import { acceptSubscribers } from './accept-subscribers.ts';
import { createServerFactory, type ServerParts } from './mcp-server.ts';
import { createRunSubscriptions, type RunSubscriptions } from './run-subscriptions.ts';

export interface StdioParts extends ServerParts {
  /** Called once a client has what it asked for and asks for nothing more at first, so that nobody waits for what is done now. */
  onQuiet: () => void;
}

/** Clients ask what there is as soon as they are connected. */
const QUIET_MS = 100;

/** Serves both protocol eras over stdin and stdout until the client closes or a signal asks to end. */
export async function serveOverStdio(parts: StdioParts): Promise<void> {
  const servers: McpServer[] = [];
  const subscriptions = createRunSubscriptions({ ...parts.services, log: parts.log }, async (uri) => {
    // The library hands it on to those who asked for this address. One that only probed is not connected.
    await Promise.all(servers.map((server) => server.server.sendResourceUpdated({ uri }).catch(() => undefined)));
  }); // prettier-ignore
  const create = createServerFactory(parts);
  const factory = (): McpServer => {
    const server = create();
    servers.push(server);
    acceptSubscribers(server, subscriptions, { subscriber: 'legacy connection', scope: null });
    return server;
  };
  const handle = serveStdio(factory, {
    transport: overheard(answering(new StdioServerTransport(), parts.onQuiet), subscriptions),
    onerror: (error) => parts.log('warn', 'protocol error', { error: messageOf(error) }),
  });
  // A client that is gone closes stdout first, sometimes: not worth a crash.
  process.stdout.on('error', () => undefined);
  // A second signal must not end the process while it passes open runs on.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  await Promise.race([
    once(process.stdin, 'end'),
    once(process.stdin, 'close'),
    once(process, 'SIGTERM'),
    once(process, 'SIGINT'),
  ]);
  subscriptions.close();
  await handle.close();
}

function answering(transport: StdioServerTransport, onQuiet: () => void): StdioServerTransport {
  const send = transport.send.bind(transport);
  let timer: NodeJS.Timeout | null = null;
  const quiet = (): void => {
    transport.send = send;
    onQuiet();
  };
  transport.send = async (message) => {
    await send(message);
    timer = timer?.refresh() ?? setTimeout(quiet, QUIET_MS).unref();
  };
  return transport;
}

/**
 * In the modern era the library answers `subscriptions/listen` itself and filters what is sent; which addresses were
 * asked for, and when that ends, it tells nobody. So the messages are read as they come in.
 */
function overheard(transport: StdioServerTransport, subscriptions: RunSubscriptions): StdioServerTransport {
  let deliver: StdioServerTransport['onmessage'];
  // What was subscribed to is looked at before the library confirms it, so that no change falls between.
  let pending: Promise<void> | null = null;
  const receive: NonNullable<typeof deliver> = (message) => {
    if (pending === null && !concerns(message)) return deliver?.(message);
    const turn: Promise<void> = (pending ?? Promise.resolve())
      .then(() => hear(message, subscriptions))
      .catch(() => undefined)
      .then(() => {
        if (pending === turn) pending = null;
        deliver?.(message);
      });
    pending = turn;
  };
  Object.defineProperty(transport, 'onmessage', {
    get: () => deliver && receive,
    set: (handler: typeof deliver) => void (deliver = handler),
  });
  return transport;
}

function concerns(message: unknown): boolean {
  return isObject(message) && (message['method'] === 'subscriptions/listen' || message['method'] === 'notifications/cancelled');
} // prettier-ignore

async function hear(message: unknown, subscriptions: RunSubscriptions): Promise<void> {
  if (!isObject(message) || !isObject(message['params'])) return;
  const { id, method, params } = message;
  if (method === 'subscriptions/listen' && isId(id)) {
    const filter = isObject(params['notifications']) ? params['notifications'] : {};
    const wanted: unknown[] = Array.isArray(filter['resourceSubscriptions']) ? filter['resourceSubscriptions'] : [];
    // What is no run is accepted by the library and never told of.
    for (const uri of wanted) if (typeof uri === 'string') await subscriptions.add(id, uri);
  } else if (method === 'notifications/cancelled' && isId(params['requestId'])) {
    subscriptions.remove(params['requestId']);
  }
} // prettier-ignore

function isId(id: unknown): id is string | number {
  return typeof id === 'string' || typeof id === 'number';
}
