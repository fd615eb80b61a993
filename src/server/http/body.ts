import type { IncomingMessage } from 'node:http';
import type { Problem } from './answers.ts';

/** Bytes of a request; the largest that a tool takes is far below. */
export const MOST_BYTES = 1024 * 1024;
/** Objects and lists within each other. */
export const MOST_DEPTH = 64;

export type Body = { value: unknown } | Problem;

/** Reads a JSON body; what is too large or too deep is refused before anything is made of it. */
export async function readJson(request: IncomingMessage, most_bytes = MOST_BYTES): Promise<Body> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    return { status: 415, says: 'the body has to be application/json' };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most_bytes) {
      // The rest is on its way, so no other request can follow on this connection.
      request.resume();
      return {
        status: 413,
        says: `the body is larger than ${most_bytes} bytes`,
        headers: { Connection: 'close' },
      };
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (depthOf(text) > MOST_DEPTH) {
    return { status: 400, says: `the body is nested more than ${MOST_DEPTH} levels deep` };
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return { status: 400, says: 'the body is not JSON' };
  }
}

/** How deep brackets are nested, without building anything. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '"') at = endOfString(text, at);
    else if (sign === '{' || sign === '[') deepest = Math.max(deepest, ++depth);
    else if (sign === '}' || sign === ']') depth -= 1;
  }
  return deepest;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
