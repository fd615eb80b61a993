import { ProtocolError, ProtocolErrorCode, type McpServer } from '@modelcontextprotocol/server';
import type { Scope } from '../access/identity.ts';
import type { RunSubscriptions } from './run-subscriptions.ts';

/** The 2025 revisions' own methods, which the library leaves to the server. */
export function acceptSubscribers(
  { server }: McpServer,
  subscriptions: RunSubscriptions,
  { subscriber, scope }: { subscriber: string; scope: Scope },
): void {
  server.registerCapabilities({ resources: { subscribe: true } });
  server.setRequestHandler('resources/subscribe', async ({ params: { uri } }) => {
    if (await subscriptions.add(subscriber, uri, scope)) return {};
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `no run to subscribe to: ${uri}`);
  });
  server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
    subscriptions.remove(subscriber, uri);
    return {};
  });
}
