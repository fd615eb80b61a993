import type { Dispatcher } from 'undici';
import { ApiError } from '../../platform/api-error.ts';
import type { CallOptions } from '../../platform/polycrate-api.ts';
import type { Clock } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { createDispatcher, type Ways } from './dispatcher.ts';
import { refusalError, transportError, type Subject } from './failures.ts';

export interface TransportOptions extends Ways {
  api: string;
  url: string;
  key: string;
  userAgent: string;
  clock: Clock;
  /** Numbers below 1. */
  random(): number;
}

export interface Request {
  method: 'GET' | 'POST';
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  /** More bytes of an answer than this are refused; 8 MiB. */
  most_bytes?: number;
}

export interface Reply {
  status: number;
  /** Parsed; answers that are no JSON are refused before. */
  body: unknown;
}

export interface Transport {
  /** Resolves with a success, or with an answer whose status is in `expected`. */
  send(request: Request, options?: CallOptions & { expected?: readonly number[] }): Promise<Reply>;
  skew_ms(): number;
  close(): Promise<void>;
}

const LIMITS = { headers_ms: 15_000, body_ms: 10_000, connections: 4 };
/** Without another limit of the caller: also an answer that comes byte by byte ends then. */
const CALL_MS = 30_000;
const MOST_BYTES = 8 * 1024 * 1024;
/** Only what reads is repeated here; what writes, its caller has to look for first. */
const ATTEMPTS = 3;
const PAUSE_MS = 200;

export function createTransport(options: TransportOptions): Transport {
  const { api, clock } = options;
  let dispatcher: Promise<Dispatcher> | null = null;
  let skew = 0;
  const connected = (): Promise<Dispatcher> => {
    dispatcher ??= createDispatcher(options, LIMITS);
    dispatcher.catch(() => (dispatcher = null));
    return dispatcher;
  };

  const once = async (request: Request, signal: AbortSignal, expected: readonly number[]): Promise<Reply> => {
    const subject = { api, request: `${request.method} ${request.path}` };
    const answer = await ask(await connected(), { request, options, signal }).catch((error: unknown) => {
      throw transportError(error, subject);
    });
    skew = skewOf(answer.date, clock.now()) ?? skew;
    const { status, text, retryAfter } = answer;
    if ((status < 200 || status > 299) && !expected.includes(status)) {
      throw refusalError({ status, text, retryAfter, now: clock.now() }, subject);
    }
    return { status, body: jsonOf(text, { status, subject }) };
  };

  return {
    skew_ms: () => skew,
    async send(request, { signal, within_ms = CALL_MS, expected = [] } = {}) {
      const limit = timeLimit(within_ms, ...(signal ? [signal] : []));
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(request, limit, expected);
        } catch (error) {
          const last = request.method !== 'GET' || attempt === ATTEMPTS || limit.aborted;
          if (last || !(error instanceof ApiError) || !error.passing) throw error;
          await clock.sleep(pauseOf(error, attempt, options.random()), limit);
          if (limit.aborted) throw error;
        }
      }
    },
    async close() {
      // Destroyed: a request that is still under way is not waited for.
      await (await dispatcher?.catch(() => null))?.destroy();
      dispatcher = null;
    },
  };
}

/** Exponential with full jitter above a floor; what the server asks for wins. */
function pauseOf({ retry_after_ms }: ApiError, attempt: number, random: number): number {
  return retry_after_ms ?? PAUSE_MS * 2 ** (attempt - 1) * (0.5 + random);
}

interface Answer {
  status: number;
  text: string;
  retryAfter: string | null;
  date: string | null;
}

interface Asked {
  request: Request;
  options: TransportOptions;
  signal: AbortSignal;
}

async function ask(dispatcher: Dispatcher, { request, options, signal }: Asked): Promise<Answer> {
  const { method, path, body, query = {}, most_bytes = MOST_BYTES } = request;
  const { request: send } = await import('undici');
  const url = new URL(options.url + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const answer = await send(url, {
    dispatcher,
    method,
    signal,
    headers: {
      authorization: `Bearer ${options.key}`,
      accept: 'application/json',
      'user-agent': options.userAgent,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most_bytes) {
      answer.body.destroy();
      const limit = `${Math.round(most_bytes / 1024 / 1024)} MiB`;
      throw new ApiError('invalid', `${options.api}: the answer to ${method} ${path} is larger than ${limit}`);
    }
    chunks.push(chunk);
  }
  return {
    status: answer.statusCode,
    // Bytes that are no UTF-8 become U+FFFD.
    text: Buffer.concat(chunks).toString('utf8'),
    retryAfter: headerOf(answer.headers['retry-after']),
    date: headerOf(answer.headers['date']),
  };
} // prettier-ignore

function headerOf(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

/** A header tells whole seconds, so less than two are no skew. */
function skewOf(date: string | null, now: number): number | null {
  const ahead = date === null ? NaN : Date.parse(date) - now;
  if (Number.isNaN(ahead)) return null;
  return Math.abs(ahead) < 2_000 ? 0 : ahead;
}

function jsonOf(text: string, { status, subject: { api, request } }: { status: number; subject: Subject }): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const what = /^\s*</.test(text) ? 'a web page' : text === '' ? 'nothing' : 'no complete JSON';
    throw new ApiError('strange', `${api}: ${request} was answered with ${status} and ${what}`, {
      status,
      cause,
      next: 'check POLYCRATE_API_URL: it must be the root of the instance',
    });
  }
} // prettier-ignore
