import type { ServerResponse } from 'node:http';
import { sendJson, type Problem } from '../http/answers.ts';

/** Below this, `serve` answers as a Polycrate API does, to CLIs that report their runs and to who reads them. */
export const API_PREFIX = '/api/v1/';

/** What one operation answers. */
export interface Reply {
  status: number;
  value: unknown;
  headers?: Record<string, string>;
}

/** The body that all errors have (polycrate-api facts 1.7). */
export interface ApiFault {
  code: string;
  detail: string;
  /** The member of the body, or the parameter, that is wrong. */
  attr: string | null;
}

export function refusal(status: number, faults: readonly ApiFault[], headers: Record<string, string> = {}): Reply {
  const type = status >= 500 ? 'server_error' : faults.some(({ attr }) => attr !== null) ? 'validation_error' : 'client_error';
  return { status, value: { type, errors: faults }, headers };
} // prettier-ignore

export function refused(status: number, code: string, detail: string): Reply {
  return refusal(status, [{ code, detail, attr: null }]);
}

export const notFound = (detail = 'Not found.'): Reply => refused(404, 'not_found', detail);

const CODES: Record<number, string> = {
  400: 'parse_error',
  403: 'permission_denied',
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'too_large',
  415: 'unsupported_media_type',
  429: 'throttled',
};

/** The same problem in the words of this API. */
export function refusalOf({ status, says, headers }: Problem): Reply {
  const code =
    status === 401
      ? /error=/.test(headers?.['WWW-Authenticate'] ?? '')
        ? 'authentication_failed'
        : 'not_authenticated'
      : (CODES[status] ?? 'error');
  return refusal(status, [{ code, detail: says, attr: null }], headers);
}

export function sendReply(response: ServerResponse, { status, value, headers }: Reply): void {
  sendJson(response, { status, value, ...(headers && { headers }) });
}
