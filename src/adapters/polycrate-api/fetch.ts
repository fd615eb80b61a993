import type { Dispatcher } from 'undici';
import type { Fetch } from '../../shared/ports.ts';
import { createDispatcher, type Ways } from './dispatcher.ts';

/** Longer than a server lets a request wait for a change. */
const LIMITS = { headers_ms: 60_000, body_ms: 60_000, connections: null };

type Asked = [url: string | URL, init: Omit<RequestInit, 'dispatcher'> & { dispatcher: Dispatcher }];

/** `fetch` by the operator's proxies and authorities, which Node's own knows nothing of. */
export function createFetch(ways: Ways): Fetch {
  let dispatcher: Promise<Dispatcher> | null = null;
  return async (url, init) => {
    dispatcher ??= createDispatcher(ways, LIMITS);
    dispatcher.catch(() => (dispatcher = null));
    // The types of the web are declared once by Node.js and once by the library.
    const fetch = (await import('undici')).fetch as unknown as (...asked: Asked) => Promise<Response>;
    return await fetch(url, { ...init, dispatcher: await dispatcher });
  };
}
