import { messageOf } from '../shared/errors.ts';
import type { Clock, Log } from '../shared/ports.ts';
import { timeLimit } from '../shared/time-limit.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { LedgerWatch, RunLedger } from '../runs/run-ledger.ts';
import { bodyOf, newsOf, type WebhookFormat } from './webhook-message.ts';
import type { WebhookEvent, WebhookQueue, WebhookTurn } from '../ledger/webhook-queue.ts';

/** One receiver. */
export interface Webhook {
  /** Tells it from others without its address, which may be a secret. */
  id: string;
  /** For the operator: its host. */
  host: string;
  format: WebhookFormat;
  /** Throws if it was not accepted; the message has no address in it. */
  send(body: string, signal: AbortSignal): Promise<void>;
}

export interface WebhookPorts {
  webhooks: readonly Webhook[];
  queue: WebhookQueue;
  ledger: Pick<RunLedger, 'find'>;
  ledgerId(): Promise<string>;
  link(run: ActionRun): Promise<string | null>;
  /** Takes out secrets that this server knows. */
  redact(text: string): string;
  watch: LedgerWatch;
  clock: Clock;
  log: Log;
}

/** Tells receivers of runs; nobody waits for it. */
export interface Webhooks {
  run(): void;
  /** Ends what is under way; what was not delivered is left to the next server. */
  stop(): Promise<void>;
}

const LOOK_MS = 5_000;
/** Longer than a message may take. */
const LEASE_MS = 30_000;
const SEND_MS = 10_000;
const BATCH = 50;
/** Four minutes in all; then the message is given up, and those behind it get their turn. */
const BACK_OFF_MS = [1_000, 4_000, 15_000, 60_000, 160_000];
/** Nobody wants to be told so late. */
const STALE_MS = 24 * 3_600_000;

export function createWebhooks(ports: WebhookPorts): Webhooks {
  const ended = new AbortController();
  let running: Promise<unknown> | null = null;

  const loop = async (webhook: Webhook): Promise<void> => {
    while (!ended.signal.aborted) {
      const more = await turn(ports, webhook, ended.signal).catch((error: unknown) => {
        ports.log('warn', 'a webhook could not be looked after', { host: webhook.host, error: messageOf(error) });
        return false;
      });
      if (!more) await ports.watch.changed(LOOK_MS, ended.signal);
    }
  }; // prettier-ignore
  return {
    run() {
      running ??= Promise.all(ports.webhooks.map(loop));
    },
    async stop() {
      ended.abort();
      await running;
    },
  };
}

/** True: there may be more at once. */
async function turn(ports: WebhookPorts, webhook: Webhook, signal: AbortSignal): Promise<boolean> {
  const { queue } = ports;
  const taken = await queue.take(webhook.id, LEASE_MS);
  if (!taken) return false;
  const events = await queue.after(taken.seq, BATCH);
  const [first] = events;
  if (!first) {
    await queue.settle(webhook.id, taken.fence, { seq: taken.seq, attempts: 0, due_in_ms: 0 });
    return false;
  }
  const problem = await deliver(ports, webhook, first, signal);
  if (signal.aborted && problem !== null) {
    await queue.settle(webhook.id, taken.fence, { ...taken, due_in_ms: 0 });
    return false;
  }
  await queue.settle(webhook.id, taken.fence, nextOf(ports, { webhook, taken, event: first, problem }));
  return problem === null && events.length > 1;
}

function nextOf(
  { log }: WebhookPorts,
  { webhook, taken, event, problem }: { webhook: Webhook; taken: WebhookTurn; event: WebhookEvent; problem: string | null },
): { seq: number; attempts: number; due_in_ms: number } {
  const done = { seq: event.seq, attempts: 0, due_in_ms: 0 };
  if (problem === null) return done;
  const wait = BACK_OFF_MS[taken.attempts];
  const told = { host: webhook.host, run: event.run_id, error: problem };
  if (wait === undefined) {
    log('error', 'a message to a webhook was given up', told);
    return done;
  }
  log('warn', 'a message to a webhook was not accepted', told);
  return { seq: taken.seq, attempts: taken.attempts + 1, due_in_ms: wait };
} // prettier-ignore

/** Null: it was accepted, or there is nothing to tell. */
async function deliver(ports: WebhookPorts, webhook: Webhook, event: WebhookEvent, signal: AbortSignal): Promise<string | null> {
  if (ports.clock.now() - event.at > STALE_MS) return null;
  const run = await ports.ledger.find(event.run_id);
  const link = run && (await ports.link(run));
  const news = newsOf(event, run, { ledger: await ports.ledgerId(), link });
  if (!news) return null;
  try {
    const body = ports.redact(bodyOf(news, webhook.format));
    await webhook.send(body, timeLimit(SEND_MS, signal));
    return null;
  } catch (error) {
    return messageOf(error);
  }
} // prettier-ignore
