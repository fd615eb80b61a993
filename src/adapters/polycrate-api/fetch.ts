import type { Dispatcher, RequestInit, Response } from 'undici';
import { createDispatcher, type Ways } from './dispatcher.ts';

/** Longer than a server lets a request wait for a change. */
const LIMITS = { headers_ms: 60_000, body_ms: 60_000, connections: null };

/** `fetch` by the operator's proxies and authorities, which Node's own knows nothing of. */
export function createFetch(ways: Ways): (url: URL, init: RequestInit) => Promise<Response> {
  let dispatcher: Promise<Dispatcher> | null = null;
  return async (url, init) => {
    const { fetch } = await import('undici');
    dispatcher ??= createDispatcher(ways, LIMITS);
    dispatcher.catch(() => (dispatcher = null));
    return await fetch(url, { ...init, dispatcher: await dispatcher });
  };
}
