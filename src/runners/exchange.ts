import type { JsonObject } from '../shared/json.ts';

/** What a runner says of itself. */
export interface Announcement {
  /** Unique among the runners of a ledger. */
  name: string;
  /** Whom its name belongs to, see `holderOf`. */
  key: string;
  labels: Readonly<Record<string, string>>;
  version: string;
  engine: RunnerEngine;
  workspaces: readonly OfferedWorkspace[];
}

/** What it executes with. */
export interface RunnerEngine {
  kind: string;
  available: boolean;
  version: string | null;
  problem: string | null;
}

/** A workspace that a runner has, as far as a server needs to know it without asking. */
export interface OfferedWorkspace {
  organization: string | null;
  name: string;
  alias: readonly string[];
  environment: { value: string; origin: string } | null;
  /** Names of its blocks. */
  blocks: readonly string[];
  /** Other names of its blocks and of their actions. */
  aliases: readonly string[];
}

/** `broken`: its connection broke. `ended`: it said that it ends, so its name is free. */
export type RunnerPresence = 'here' | 'broken' | 'ended';

export interface KnownRunner extends Announcement {
  presence: RunnerPresence;
  /** How long ago it was heard of, by the clock of all who share the ledger. */
  silent_ms: number;
}

export interface NewCall {
  id: string;
  /** Whom it is for. */
  runner: string;
  body: JsonObject;
  valid_ms: number;
}

export interface OpenCall extends Omit<NewCall, 'valid_ms'> {
  /** The run whose intent was brought for it. */
  run_id: string | null;
  answer: JsonObject | null;
}

/** A name stays with its holder for so long after its runner was heard of for the last time. */
export const KEEP_NAME_MS = 10 * 60_000;
/** Runners of which nothing was heard for so long are forgotten. */
export const FORGET_MS = 30 * 24 * 3_600_000;

/**
 * Where servers of one ledger and their runners meet: who is there, and calls on their way to a runner and back. Nothing
 * of it is a record; what is answered or expired is gone.
 */
export interface RunnerExchange {
  /** Enters a runner, or what is new about it. False: its name belongs to another one. */
  enter(runner: Announcement): Promise<boolean>;
  /** It asks for calls. False: it is not known here, and has to enter first. */
  touch(name: string, key: string): Promise<boolean>;
  leave(name: string, key: string, how: Exclude<RunnerPresence, 'here'>): Promise<void>;
  /** By name, also those that are away. */
  runners(): Promise<KnownRunner[]>;

  put(call: NewCall): Promise<void>;
  /** Calls for this runner that nobody has taken yet; the same `taker` gets the same ones again. */
  take(runner: string, taker: string): Promise<OpenCall[]>;
  /** What could not be handed over: somebody else may take it. */
  giveBack(taker: string): Promise<void>;
  /** Null: it is expired, or its answer was taken. */
  find(id: string): Promise<OpenCall | null>;
  /** Notes the run of a call, once. False: it has another one, or is not open any more. */
  launched(id: string, run_id: string): Promise<boolean>;
  /** False: the call is not open any more, or is another runner's. */
  answer(id: string, runner: string, answer: JsonObject): Promise<boolean>;
  /** Ends a call. What it was at its end: without a run by then it gets none. */
  remove(id: string): Promise<OpenCall | null>;
  /** Resolves when a call may have come or been answered, at the latest after `max_ms`. */
  changed(max_ms: number, signal?: AbortSignal): Promise<void>;
}
