import { AppError, type ErrorHelp } from '../shared/errors.ts';

/** What went wrong with a call of the API. The first five say that it surely was not processed. */
export type ApiFault =
  | 'unreachable' // no connection
  | 'busy' // 429 or 503: later
  | 'credentials' // 401
  | 'forbidden' // 403: no right, or a key that can only read
  | 'invalid' // 400, 406, 413, 415
  | 'not_found' // 404, 405, 410
  | 'conflict' // 409 in the common shape
  | 'broken' // another 5xx: it may have been processed
  | 'unclear' // no whole answer came: it may have been processed
  | 'strange'; // an answer that is none of the API's

const REFUSED: readonly ApiFault[] = ['credentials', 'forbidden', 'invalid', 'conflict'];
const UNSURE: readonly ApiFault[] = ['broken', 'unclear', 'strange'];
const PASSING: readonly ApiFault[] = ['unreachable', 'busy', 'broken', 'unclear', 'strange'];

export interface ApiErrorHelp extends ErrorHelp {
  status?: number;
  retry_after_ms?: number;
}

export class ApiError extends AppError {
  readonly fault: ApiFault;
  readonly status: number | null;
  /** When it asked to come again. */
  readonly retry_after_ms: number | null;

  constructor(fault: ApiFault, message: string, { status, retry_after_ms, ...help }: ApiErrorHelp = {}) {
    super(codeOf(fault), message, help);
    this.fault = fault;
    this.status = status ?? null;
    this.retry_after_ms = retry_after_ms ?? null;
  }

  /** A request that writes may have been processed although this is its answer. */
  get unsure(): boolean {
    return UNSURE.includes(this.fault);
  }

  /** The same request may succeed later without anybody mending anything. */
  get passing(): boolean {
    return PASSING.includes(this.fault);
  }
}

function codeOf(fault: ApiFault): AppError['code'] {
  if (fault === 'not_found') return 'unknown_name';
  return REFUSED.includes(fault) ? 'api_refused' : 'api_unavailable';
}
