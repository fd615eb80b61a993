import type { ServerContext } from '@modelcontextprotocol/server';
import type { Redaction } from '../shared/redact/redaction.ts';

/** Sends progress on the request's own stream, if the client asked for it; values strictly grow. */
export function progressOf(
  ctx: ServerContext,
  redaction: Redaction,
): ((message: string, elapsed_ms: number) => void) | undefined {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let last = 0;
  return (message, elapsed_ms) => {
    last = Math.max(elapsed_ms / 1000, last + 0.001);
    // A client that is gone ends the wait by the request's signal; nothing is to be done here.
    ctx.mcpReq
      .notify({
        method: 'notifications/progress',
        params: { progressToken, progress: last, message: redaction.text(message) },
      })
      .catch(() => undefined);
  };
}
