import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** JSON-RPC's own code for what it has no name for. */
const SERVER_ERROR = -32000;

export interface Problem {
  status: number;
  says: string;
  headers?: Record<string, string>;
}

/** An error that is about the request as a whole, in the form that clients of the protocol read. */
export function sendError(response: ServerResponse, { status, says, headers = {} }: Problem): void {
  const error = { jsonrpc: '2.0', id: null, error: { code: SERVER_ERROR, message: says } };
  sendJson(response, { status, value: error, headers });
}

export function sendJson(
  response: ServerResponse,
  { status, value, headers = {} }: { status: number; value: unknown; headers?: Record<string, string> },
): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers });
  response.end(JSON.stringify(value));
}

/** Writes an answer of the web's own kind: a stream as it comes, anything else at once. */
export async function sendResponse(response: ServerResponse, answer: Response): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (!answer.body || !answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    return void response.end(Buffer.from(await answer.arrayBuffer()));
  }
  response.flushHeaders();
  // A client that is gone ends the stream; whoever writes to it is told by its own signal.
  await pipeline(Readable.fromWeb(answer.body), response).catch(() => undefined);
}
