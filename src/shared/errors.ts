/** Every way a call can be refused. The code is stable; the sentence is for the reader. */
export type ErrorCode =
  | 'invalid_argument' // the caller can mend the argument
  | 'unknown_name' // no such workspace, block, action, run, user …
  | 'ambiguous_name' // more than one thing has this name
  | 'broken_definition' // workspace.poly or block.poly cannot be used
  | 'refused' // policy, run mode or an operator's setting says no
  | 'approval_unavailable' // a human must approve and this client cannot ask one
  | 'approval_declined' // a human said no
  | 'already_active' // another run of this block is open
  | 'key_reused' // idempotency key with other arguments, or expired
  | 'plan_changed' // what was planned or pinned is no longer what would run
  | 'engine_unavailable' // no container engine, or it went away
  | 'launch_failed' // the engine or the host could not start it
  | 'ledger_unavailable' // the record cannot be stored, hence nothing runs
  | 'tampered' // stored history is not what was signed
  | 'lease_lost' // another process supervises this run now
  | 'configuration' // the operator's settings are wrong
  | 'internal';

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

/** The message of anything that was thrown, for operators' diagnostics. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno-like code of a thrown system or library error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
