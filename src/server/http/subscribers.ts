import type { ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { McpServer } from '@modelcontextprotocol/server';
import type { Scope } from '../../access/identity.ts';
import { isObject } from '../../shared/json.ts';
import { acceptSubscribers } from '../accept-subscribers.ts';
import { createRunSubscriptions, type SubscriptionPorts } from '../run-subscriptions.ts';

/** Who is told when a run changes: sessions of the 2025 revisions, and streams of the one of 2026. */
export interface Subscribers {
  /** A server of a session; it is told of until it is closed. */
  session(server: McpServer, scope: Scope): void;
  /** The same request with only those addresses that the asker may see; told of until the response ends. */
  listen(body: unknown, response: ServerResponse, scope: Scope): Promise<unknown>;
  close(): void;
}

/** `publish` reaches every stream that asked for the address, so none may ask for what it does not see. */
export function createSubscribers(ports: SubscriptionPorts, publish: (uri: string) => void): Subscribers {
  const sessions = new Map<string | number, McpServer>();
  const runs = createRunSubscriptions(ports, async (uri, subscribers) => {
    if ([...subscribers].some((one) => !sessions.has(one))) publish(uri);
    const servers = [...subscribers].flatMap((one) => sessions.get(one) ?? []);
    await Promise.all(servers.map(({ server }) => server.sendResourceUpdated({ uri }).catch(() => undefined)));
  });
  return {
    session(server, scope) {
      const subscriber = randomUUID();
      sessions.set(subscriber, server);
      acceptSubscribers(server, runs, { subscriber, scope });
      server.server.onclose = () => {
        sessions.delete(subscriber);
        runs.remove(subscriber);
      };
    },
    async listen(body, response, scope) {
      const wanted = wantedOf(body);
      if (!wanted) return body;
      const subscriber = randomUUID();
      response.once('close', () => runs.remove(subscriber));
      const seen: string[] = [];
      for (const uri of wanted.uris) {
        if (typeof uri === 'string' && (await runs.add(subscriber, uri, scope))) seen.push(uri);
      }
      // It may be gone by now, and then nothing else takes it out.
      if (response.destroyed) runs.remove(subscriber);
      return wanted.only(seen);
    },
    close: () => runs.close(),
  };
} // prettier-ignore

/** The addresses that a request to listen asks for; null: it is another one. */
function wantedOf(body: unknown): { uris: unknown[]; only(uris: string[]): unknown } | null {
  if (!isObject(body) || body['method'] !== 'subscriptions/listen' || !isObject(body['params'])) return null;
  const { params } = body;
  const { notifications } = params;
  if (!isObject(notifications) || !Array.isArray(notifications['resourceSubscriptions'])) return null;
  return {
    uris: notifications['resourceSubscriptions'],
    only: (resourceSubscriptions) => ({
      ...body,
      params: { ...params, notifications: { ...notifications, resourceSubscriptions } },
    }),
  };
}
