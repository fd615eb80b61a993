import { z } from 'zod';
import type { Scope } from '../access/identity.ts';
import type { LoadedPolicy } from '../actions/policy-rules.ts';
import type { RunMode } from '../actions/policy.ts';
import type { Caller, Consent } from '../runs/start.ts';
import type { CallOrigin } from '../runs/trail.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ProcessIdentity } from '../shared/ports.ts';
import type { Place } from '../access/identity.ts';

/** What decides about runs at the server, as of now. */
export interface RulesInForce {
  mode: RunMode;
  /** A text where there is none and says why; null in modes without rules. */
  policy: LoadedPolicy | string | null;
  /** IANA zone for windows of time. */
  zone: string;
}

/** A call as its runner gets it. */
export interface SentCall {
  tool: string;
  /** Checked by the server. */
  input: JsonObject;
  caller: Caller;
  scope: Scope;
  consent: Consent | null;
  /** Its client cannot ask its user, and others can be asked instead. */
  desk: boolean;
}

/** What only servers need to know of a call: to take its intent, whichever of them that comes to. */
export interface KeptCall {
  /** Null: calls are not recorded. */
  origin: CallOrigin | null;
  target: Place | null;
  /** Other names of blocks and actions there. */
  aliases: readonly string[];
  /** What makes it the same call as another one without an idempotency key. */
  sameness: string;
  /** The server that answers it. */
  teller: ProcessIdentity;
}

export interface CallBody {
  sent: SentCall;
  kept: KeptCall;
}

const text = z.string().max(20_000);

const answerSchema = z.union([
  z.strictObject({ result: z.record(z.string(), z.unknown()) }),
  z.strictObject({
    started: z.strictObject({
      outcome: z.enum(['started', 'replayed']),
      run_id: z.string().max(100),
      age_ms: z.number().min(0),
      drift: z.array(z.record(z.string(), z.unknown())).max(100),
    }),
  }),
  z.strictObject({
    ask: z.strictObject({ digest: z.string().max(200), question: text, rule: text, why: text }),
  }),
  z.strictObject({
    error: z.strictObject({
      code: z.string().max(100),
      message: text,
      valid: z.array(text).max(1_000).optional(),
      next: text.optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
]);

/** What a runner makes of a call: the tool's result, a run, what a human has to be asked, or why not. */
export type CallAnswer = z.output<typeof answerSchema>;

/** Null: it is no answer. */
export function readAnswer(value: unknown): CallAnswer | null {
  const parsed = answerSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}
