/** Every way a call can be refused. The code is stable; the sentence is for the reader. */
export const ERROR_CODES = [
  'invalid_argument', // the caller can mend the argument
  'unknown_name', // no such workspace, block, action, run, user …
  'ambiguous_name', // more than one thing has this name
  'broken_definition', // workspace.poly or block.poly cannot be used
  'refused', // policy, run mode or an operator's setting says no
  'approval_unavailable', // a human must approve and this client cannot ask one
  'approval_declined', // a human said no
  'already_active', // another run of this block is open
  'key_reused', // idempotency key with other arguments, or expired
  'plan_changed', // what was planned or pinned is no longer what would run
  'engine_unavailable', // no container engine, or it went away
  'no_runner', // no runner is connected that could execute it
  'launch_failed', // the engine or the host could not start it
  'ledger_unavailable', // the record cannot be stored, hence nothing runs
  'tampered', // stored history is not what was signed
  'api_unavailable', // the Polycrate API cannot be reached, or does not answer as it should
  'api_refused', // the Polycrate API refuses the request or its key
  'lease_lost', // another process supervises this run now
  'configuration', // the operator's settings are wrong
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorHelp {
  /** What would have been valid: names, closest first. */
  valid?: readonly string[];
  /** The call or the setting that helps next. */
  next?: string;
  /** Facts a program may need, for example the id of the active run. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** The one error type whose message may be shown to a caller as it is. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly valid: readonly string[] | undefined;
  readonly next: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, help: ErrorHelp = {}) {
    super(message, help.cause === undefined ? undefined : { cause: help.cause });
    this.name = 'AppError';
    this.code = code;
    this.valid = help.valid;
    this.next = help.next;
    this.details = help.details;
  }
}

/** An error as it is told to a caller, another process or another thread. */
export interface PlainError {
  code: string;
  message: string;
  valid?: string[] | undefined;
  next?: string | undefined;
  details?: Record<string, unknown> | undefined;
}

/** Without the members that it does not have. */
export function plainError({ code, message, valid, next, details }: AppError): PlainError & { code: ErrorCode } {
  return { code, message, ...(valid && { valid: [...valid] }), ...(next && { next }), ...(details && { details }) };
} // prettier-ignore

/** Whoever tells it may be of a newer version: a code that is not known here is internal. */
export function errorFrom({ code, message, valid, next, details }: PlainError): AppError {
  const known = ERROR_CODES.find((one) => one === code) ?? 'internal';
  return new AppError(known, message, { ...(valid && { valid }), ...(next && { next }), ...(details && { details }) });
} // prettier-ignore

/** The message of anything that was thrown, for operators' diagnostics. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno-like code of a thrown system or library error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
