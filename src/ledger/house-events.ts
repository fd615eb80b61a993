import type { LedgerEvent } from '../runs/action-run.ts';
import type { ArchivedEvent } from './archive.ts';

/** Events about who may use the server and by which rules; like all that are about no run, their `run_id` is empty. */
export const HOUSE_EVENT_KINDS = ['key_created', 'key_revoked', 'policy_loaded'] as const;
export type HouseEventKind = (typeof HOUSE_EVENT_KINDS)[number];

export interface HouseEvent extends LedgerEvent {
  kind: HouseEventKind;
  run_id: '';
}

/** Few, and read whole: what holds now is what they add up to. */
export interface HouseEvents {
  /** Durable when it resolves. */
  add(event: HouseEvent): Promise<void>;
  /** All of them, in order, with what is left of their private values. */
  list(): Promise<ArchivedEvent[]>;
}
