import { ApiError, type ApiFault } from '../../platform/api-error.ts';
import { cleanText } from '../../shared/clean-text.ts';
import { codeOf, messageOf } from '../../shared/errors.ts';
import { errorShape } from './shapes.ts';

/** What a call was about, for the sentences of its errors. */
export interface Subject {
  /** Name of the endpoint. */
  api: string;
  /** `GET /api/v1/…`, without a query. */
  request: string;
}

/** Before a connection stood nothing was sent, so nothing was processed. */
const UNCONNECTED: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to its network',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  EPROTO: 'it does not speak TLS: is it http, not https?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: is it http, not https?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS: is it http, not https?',
};
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/;

const UNFINISHED: Record<string, string> = {
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_BODY_TIMEOUT: 'its answer stopped in the middle',
  UND_ERR_SOCKET: 'the connection broke before the answer was whole',
  ECONNRESET: 'the connection broke before the answer was whole',
  EPIPE: 'the connection broke before the answer was whole',
};

/** Turns what the transport threw into ours. */
export function transportError(error: unknown, { api, request }: Subject): ApiError {
  if (error instanceof ApiError) return error;
  const cause = innermost(error);
  const code = codeOf(cause) ?? '';
  const help = { cause: error };
  if (UNTRUSTED.test(code)) {
    return new ApiError('unreachable', `${api}: its TLS certificate is not trusted (${code})`, {
      ...help,
      next: 'name the certificate of its authority in POLYCRATE_MCP_CA_FILE',
    });
  }
  const unconnected = UNCONNECTED[code];
  if (unconnected) {
    return new ApiError('unreachable', `${api} cannot be reached: ${unconnected}`, {
      ...help,
      next: 'check POLYCRATE_API_URL, network and proxy',
    });
  }
  const timed = (error as { name?: string }).name === 'TimeoutError';
  const says = timed ? 'it did not answer in time' : UNFINISHED[code];
  return new ApiError('unclear', `${api}: ${request} failed, ${says ?? messageOf(cause)}`, help);
}

/** Where several addresses were tried, the first failure says why. */
function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0]);
  const { cause } = (error ?? {}) as { cause?: unknown };
  return codeOf(error) === undefined && cause !== undefined ? innermost(cause) : error;
}

export interface Refusal {
  status: number;
  /** As it came; null: nothing readable. */
  text: string | null;
  retryAfter: string | null;
  now: number;
}

/** Turns an answer other than success into ours. Bodies of web pages and proxies are not repeated. */
export function refusalError({ status, text, retryAfter, now }: Refusal, { api, request }: Subject): ApiError {
  const parsed = errorShape.safeParse(parseJson(text)).data?.errors ?? [];
  const details = parsed.map(({ attr, detail, code }) => `${attr ? `${attr}: ` : ''}${detail || code}`);
  const page = text !== null && /^\s*</.test(text);
  const said = cleanText(details.join('; ') || (page ? 'a web page' : opaque(text))).slice(0, 500);
  const fault = faultOf(status);
  const wait = retryAfterOf(retryAfter, now);
  return new ApiError(fault, `${api}: ${request} was answered with ${status}${said && ` (${said})`}`, {
    status,
    ...(wait !== null && { retry_after_ms: wait }),
    ...nextOf(fault, page),
    details: { status, codes: parsed.map(({ code }) => code) },
  });
} // prettier-ignore

function faultOf(status: number): ApiFault {
  if (status === 429 || status === 503) return 'busy';
  if (status === 401) return 'credentials';
  if (status === 403) return 'forbidden';
  if (status === 404 || status === 405 || status === 410) return 'not_found';
  if (status === 409) return 'conflict';
  if (status >= 500) return 'broken';
  return status >= 400 ? 'invalid' : 'strange';
}

function nextOf(fault: ApiFault, page: boolean): { next?: string } {
  if (fault === 'credentials') return { next: 'give a valid key: POLYCRATE_API_API_KEY, or api_key in polycrate.yml' };
  if (fault === 'forbidden') return { next: 'use a key that may read and write (access mode read_write), of an organization that has the workspace' };
  if (fault === 'strange' || (page && fault === 'not_found')) return { next: 'check POLYCRATE_API_URL: it must be the root of the instance' };
  return {};
} // prettier-ignore

/** Bodies without a schema: {"error": "…"}, {"detail": "…"}, or plain text. */
function opaque(text: string | null): string {
  if (text === null) return '';
  const value = parseJson(text) as Record<string, unknown> | null;
  const said = value && (value['error'] ?? value['detail'] ?? value['message']);
  return typeof said === 'string' ? said : '';
}

function parseJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

const LONGEST_WAIT_MS = 60 * 60 * 1000;

/** Seconds, or a date. */
export function retryAfterOf(header: string | null, now: number): number | null {
  if (header === null) return null;
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), LONGEST_WAIT_MS) : null;
}
