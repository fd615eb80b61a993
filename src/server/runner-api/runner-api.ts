import type { ServerResponse } from 'node:http';
import type { Identity } from '../../access/identity.ts';
import { machineOf } from '../../runners/machine.ts';
import { PLACE_HEADER, RUNNER_PREFIX } from '../../runners/protocol.ts';
import type { RunnerService } from '../../runners/service.ts';
import { AppError, messageOf, plainError, type ErrorCode } from '../../shared/errors.ts';
import type { Log } from '../../shared/ports.ts';
import { sendJson } from '../http/answers.ts';
import { readJson, type Body } from '../http/body.ts';
import type { AuthedRequest } from '../http/sessions.ts';

/** A piece of a log, with what its characters become in JSON. */
const MOST_BYTES = 8 * 1024 * 1024;

export interface RunnerApi {
  handle(request: AuthedRequest, response: ServerResponse, identity: Identity): Promise<void>;
  close(): void;
}

/** What runners ask for, over HTTP (`runners/protocol.ts`). */
export function createRunnerApi({ service, log }: { service: RunnerService; log: Log }): RunnerApi {
  const answer = async (request: AuthedRequest, identity: Identity, signal: AbortSignal): Promise<Body> => {
    const { pathname } = new URL(request.url ?? '/', 'http://server');
    const place = request.headers[PLACE_HEADER];
    const machine = machineOf(identity, typeof place === 'string' ? place : undefined);
    const body = request.method === 'POST' ? await readJson(request, MOST_BYTES) : null;
    if (body && !('value' in body)) return body;
    const method = pathname.slice(RUNNER_PREFIX.length);
    const answered = body && (await service.call(machine, { method, body: body.value, signal }));
    if (answered) return answered;
    throw new AppError('unknown_name', `there is nothing at ${request.method} ${pathname} in this version`);
  };
  let ended = false;
  return {
    async handle(request, response, identity) {
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      try {
        const answered = await answer(request, identity, gone.signal);
        // A server that ends does not wait for another request on this connection.
        const last = ended ? { headers: { Connection: 'close' } } : {};
        if ('value' in answered) return sendJson(response, { status: 200, value: answered, ...last });
        const { status, says, headers = {} } = answered;
        sendJson(response, { status, value: { error: { code: 'invalid_argument', message: says } }, headers });
      } catch (error) {
        if (!(error instanceof AppError)) log('error', 'a request of a runner failed unexpectedly', { error: messageOf(error) });
        sendProblem(response, error);
      }
    },
    close() {
      ended = true;
      service.close();
    },
  };
} // prettier-ignore

const STATUS: Partial<Record<ErrorCode, number>> = {
  refused: 403,
  unknown_name: 404,
  lease_lost: 409,
  ledger_unavailable: 503,
  internal: 500,
};

function sendProblem(response: ServerResponse, thrown: unknown): void {
  const error = thrown instanceof AppError ? thrown : new AppError('internal', 'the server failed to answer; its report says why');
  sendJson(response, { status: STATUS[error.code] ?? 400, value: { error: plainError(error) } });
} // prettier-ignore
