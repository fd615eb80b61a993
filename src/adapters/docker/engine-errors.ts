import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { timeLimit } from '../../shared/time-limit.ts';

/** HTTP status of an engine's refusal; null where the engine did not answer at all. */
export function statusOf(error: unknown): number | null {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : null;
}

/** The engine's own sentence, without the client's decoration. */
export function wordsOf(error: unknown): string {
  const json = (error as { json?: unknown } | null)?.json;
  const message = (json as { message?: unknown } | null | undefined)?.message;
  return (typeof message === 'string' ? message : messageOf(error)).trim();
}

/** True if no engine answered: the connection failed or broke before a status line came. */
export function isUnreachable(error: unknown): boolean {
  return statusOf(error) === null && !(error instanceof AppError);
}

/** Why a socket or address did not answer, in words that say what to do. */
export function whyUnreachable(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOENT':
      return 'there is no such socket';
    case 'EACCES':
    case 'EPERM':
      return 'no permission to use it (is this user allowed to use the engine?)';
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
      return 'the host name is unknown';
    case 'ABORT_ERR':
      return 'no answer in time';
    default:
      return messageOf(error);
  }
}

/** `act` completes "asked to …". */
export function engineGone(error: unknown, act: string): AppError {
  const why = whyUnreachable(error);
  return new AppError(
    'engine_unavailable',
    `The container engine did not answer when asked to ${act}: ${why}.`,
    {
      next: 'Check that the engine runs; get_status names the places that were tried.',
      cause: error,
    },
  );
}

/** Any failure of a call to the engine as the error a caller sees. */
export function engineError(error: unknown, act: string): AppError {
  if (error instanceof AppError) return error;
  if (isUnreachable(error)) return engineGone(error, act);
  return new AppError('engine_unavailable', `The container engine refused to ${act}: ${wordsOf(error)}.`, {
    cause: error,
  });
}

/** The same for a launch, where a refusal means that this execution cannot start. */
export function launchError(error: unknown, act: string): AppError {
  if (error instanceof AppError || isUnreachable(error)) return engineError(error, act);
  return new AppError('launch_failed', `The container engine refused to ${act}: ${wordsOf(error)}.`, {
    cause: error,
  });
}

const ANSWER_MS = 30_000;

/** Options of a short question: an engine that hangs, or breaks off within its answer, counts as unreachable. */
export function bounded(): { abortSignal: AbortSignal } {
  return { abortSignal: timeLimit(ANSWER_MS) };
}
