import { setTimeout as pause } from 'node:timers/promises';
import {
  PLACE_HEADER,
  RUNNER_PREFIX,
  WIRE_ERROR,
  WIRE_VALUE,
  type ArgumentsOf,
  type Method,
  type Results,
} from '../../runners/protocol.ts';
import { AppError, errorFrom, messageOf, type PlainError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';

export interface WireOptions {
  url: string;
  /** Of the role machine; asked for with each request, so that it may be replaced. */
  key(): string;
  /** The name of the data folder. */
  place: string;
  clock: Pick<Clock, 'now'>;
  /** How requests are sent; default: by Node's own fetch, which keeps connections. */
  fetch?: Fetch;
  /** A request that is not answered is sent again for so long. */
  patience_ms?: number;
}

/** As far as it is used here. */
export type Fetch = (
  url: URL,
  init: {
    method: 'POST';
    headers: Record<string, string>;
    body: string;
    signal: AbortSignal;
    redirect: 'error';
  },
) => Promise<Answer>;

interface Answer {
  status: number;
  headers: { get(name: string): string | null };
  json(): Promise<unknown>;
}

export interface Wire {
  /**
   * Throws the server's AppError, or `ledger_unavailable`. A request may be sent several times; `isUnknown` tells of an error
   * whether one of them may have had its effect.
   */
  call<M extends Method>(method: M, args: ArgumentsOf<M>, onAttempt?: () => void): Promise<Results[M]>;
  /** Sent once, with a time and a signal of its own. */
  once<M extends Method>(method: M, args: ArgumentsOf<M>, signal: AbortSignal): Promise<Results[M]>;
}

const PATIENCE_MS = 12_000;
/** One attempt; the server may be gone without a word, or wait for its own database, for which it has as much patience. */
const ATTEMPT_MS = 15_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_500;

const unknown = new WeakSet<object>();

/** Whether a call may have had its effect although it failed. */
export function isUnknown(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unknown.has(error);
}

/** One attempt that told nothing of whether it had its effect. `wait_ms`: how long the server asks for. */
class NoAnswer extends Error {
  readonly wait_ms: number;

  constructor(message: string, wait_ms = 0) {
    super(message);
    this.wait_ms = wait_ms;
  }
}

/** Requests of a runner to its server. */
export function createWire(options: WireOptions): Wire {
  const { host } = new URL(options.url);
  const once: Wire['once'] = async (method, args, signal) => {
    const response = await send(options, { method, body: JSON.stringify(args), signal });
    return await answerOf(response, method);
  };
  return {
    once,
    async call(method, args, onAttempt) {
      const until = options.clock.now() + (options.patience_ms ?? PATIENCE_MS);
      let isUnsure = false;
      for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
        try {
          onAttempt?.();
          return await once(method, args, timeLimit(ATTEMPT_MS));
        } catch (error) {
          const left = until - options.clock.now();
          const next_ms = Math.max(wait, error instanceof NoAnswer ? error.wait_ms : 0);
          const isPassing = error instanceof NoAnswer;
          isUnsure ||= isPassing;
          if (!isPassing || next_ms > left) throw told(error, { host, isUnsure });
          await pause(next_ms);
        }
      }
    },
  };
} // prettier-ignore

function told(error: unknown, { host, isUnsure }: { host: string; isUnsure: boolean }): AppError {
  const said =
    error instanceof AppError
      ? error
      : new AppError('ledger_unavailable', `the server ${host} cannot be reached: ${messageOf(error)}`, {
          next: 'check that it runs at the address of --server, and that this host reaches it',
          cause: error,
        });
  if (isUnsure) unknown.add(said);
  return said;
}

async function send(
  { url, key, place, fetch: own = fetch }: WireOptions,
  { method, body, signal }: { method: Method; body: string; signal: AbortSignal },
): Promise<Answer> {
  try {
    return await own(new URL(`${RUNNER_PREFIX}${method}`, url), {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'User-Agent': 'polycrate-mcp',
        Authorization: `Bearer ${key()}`,
        [PLACE_HEADER]: place,
      },
      body,
      signal,
      // The key is for this server alone.
      redirect: 'error',
    });
  } catch (error) {
    throw new NoAnswer(reasonOf(error));
  }
}

async function answerOf<M extends Method>(response: Answer, method: M): Promise<Results[M]> {
  const body = await response.json().catch((error: unknown) => {
    if (response.status === 200) throw new NoAnswer(reasonOf(error));
    return null;
  });
  const value = response.status === 200 ? WIRE_VALUE.safeParse(body) : null;
  // The server is the one that this runner works for: what it answers is of the form that its version has.
  if (value?.success) return value.data.value as Results[M];
  const wire = WIRE_ERROR.safeParse(body);
  if (wire.success) throw errorOf(wire.data.error);
  const { status } = response;
  if (status === 401 || status === 403) throw keyRefused(status);
  if (status === 429 || status >= 500 || status === 200) {
    throw new NoAnswer(`it answered ${status}`, waitOf(response));
  }
  throw new AppError('internal', `the server answered ${status} to ${method}, which is not how a server for runners answers`);
} // prettier-ignore

/** What the server did not foresee may pass. */
function errorOf(told: PlainError): AppError | NoAnswer {
  return told.code === 'internal' ? new NoAnswer(told.message) : errorFrom(told);
}

/** Nothing was stored. What the operator mends by another key must not close any run. */
function keyRefused(status: number): AppError {
  return new AppError('ledger_unavailable', `the server refuses the key of this runner (${status})`, {
    next: 'give the runner a key that is valid: polycrate-mcp keys create --role machine --name NAME',
    // For a runner that only begins: there it is no accident.
    details: { key: 'refused' },
  });
}

function waitOf(response: Answer): number {
  const seconds = Number(response.headers.get('retry-after') ?? '');
  return Number.isFinite(seconds) ? Math.min(seconds * 1000, LONGEST_PAUSE_MS) : 0;
}

/** What happened, without the address. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'string' ? cause.code : error instanceof Error ? error.name : 'unknown';
}
