/**
 * How far each webhook has come in the events of the ledger, which are its queue: nothing is written for it when a run
 * goes on, and what was not delivered when a server ended is still to come for the next one.
 */
export interface WebhookQueue {
  /**
   * The turn to deliver, for so long; null, and nothing is written: there is nothing to deliver, somebody else has the turn,
   * or nothing is due yet. A webhook that is new here begins behind the newest event.
   */
  take(webhook: string, lease_ms: number): Promise<WebhookTurn | null>;
  /** Ends a turn. False: it took too long, and somebody else has the turn by now. */
  settle(webhook: string, fence: number, next: WebhookState & { due_in_ms: number }): Promise<boolean>;
  /** Events of `TOLD_KINDS` behind a position, oldest first. */
  after(seq: number, limit: number): Promise<WebhookEvent[]>;
}

/** Kinds of events that webhooks tell of; databases have an index for them. */
export const TOLD_KINDS = [
  'run_approval_asked',
  'run_approval_answered',
  'run_started',
  'run_finished',
] as const;

export interface WebhookState {
  /** All events up to this one were delivered, given up, or are none that anybody wants to hear of. */
  seq: number;
  /** In vain, for the one behind it. */
  attempts: number;
}

export interface WebhookTurn extends WebhookState {
  fence: number;
}

export interface WebhookEvent {
  seq: number;
  kind: string;
  run_id: string;
  at: number;
}
