import { createHash, createHmac } from 'node:crypto';
import type { Webhook } from '../../platform/webhooks.ts';
import type { WebhookFormat } from '../../platform/webhook-message.ts';
import type { Fetch } from '../../shared/ports.ts';

export interface WebhookOptions {
  format: WebhookFormat;
  url: string;
  /** Signs what is sent as JSON; null: it goes unsigned. */
  secret: string | null;
  now: () => number;
  fetch: Fetch;
}

/**
 * A receiver over HTTP. `Polycrate-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 under the secret over
 * `SECONDS.BODY`, as the common receivers of signed webhooks check it.
 */
export function createWebhook({ format, url, secret, now, fetch }: WebhookOptions): Webhook {
  const { host } = new URL(url);
  return {
    id: createHash('sha256').update(`${format} ${url}`).digest('hex').slice(0, 16),
    host,
    format,
    async send(body, signal) {
      const headers = { 'Content-Type': 'application/json', 'User-Agent': 'polycrate-mcp' };
      const signed = secret !== null && format === 'json' ? signature(body, secret, now()) : {};
      let response: Response;
      try {
        response = await fetch(url, {
          method: 'POST',
          headers: { ...headers, ...signed },
          body,
          signal,
          // What it would be sent on to, nobody has configured.
          redirect: 'error',
        });
      } catch (error) {
        throw new Error(`${host} cannot be reached: ${reasonOf(error)}`, { cause: error });
      }
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${host} answered ${response.status}`);
    },
  };
}

function signature(body: string, secret: string, now: number): Record<string, string> {
  const seconds = Math.floor(now / 1000);
  const hex = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return { 'Polycrate-Signature': `t=${seconds},v1=${hex}` };
}

/** Without the address. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'string' ? cause.code : error instanceof Error ? error.name : 'unknown';
}
