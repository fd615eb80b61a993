import { z } from 'zod';
import { RUN_EVENT_KINDS, type ActionRun } from '../runs/action-run.ts';
import type { Intent, IntentRequest, Lease, LedgerStatus, Replay } from '../runs/run-ledger.ts';
import type { PieceSize } from '../runs/run-log.ts';
import type { UntoldRun } from '../runs/untold.ts';
import type { RulesInForce } from './call.ts';
import type { NextCalls } from './attend.ts';
import { isObject, type JsonObject } from '../shared/json.ts';
import { RUNNER_NAME } from '../shared/names.ts';
import { principal } from './record-parts.ts';

// What runners and their server say to each other: `POST /api/v1/runner/METHOD` with the arguments as a JSON object; the answer is
// `{ value }`, or `{ error: { code, message, … } }`, which is an AppError.

export const RUNNER_PREFIX = '/api/v1/runner/';
/** Has the name of the runner's data folder. */
export const PLACE_HEADER = 'polycrate-runner-place';
/** A request waits at most so long for a change. */
export const LONGEST_POLL_MS = 25_000;
/** Of a log, in one request. */
export const PIECE_CHARACTERS = 256 * 1024;

const json = z.custom<JsonObject>(isObject, 'not an object');
const id = z.uuid();
const text = z.string().max(1_000);
const time = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const count = time;
const kind = z.enum(['docker', 'local', 'cli', 'workflow', 'approval']);
const phase = z.enum(['launching', 'running', 'cleanup']);

const owner = z
  .strictObject({
    host: text,
    boot_id: text,
    pid_ns: text,
    pid: count,
    pid_start: text,
    place: text.optional(),
  })
  .transform(({ place, ...process }) => ({ ...process, ...(place !== undefined && { place }) }));
const guard = z.strictObject({ run_id: id, fence: count });
const seenLease = z.object({ run_id: id, fence: count });
const event = z.strictObject({
  kind: z.enum(RUN_EVENT_KINDS),
  run_id: id,
  at: time,
  facts: json,
  private: json,
});
const idempotency = z.strictObject({ scope: text, key: text, arguments_digest: text, valid_ms: time });
const quota = z.strictObject({ rule: text, concurrency: count.nullable(), per_hour: count.nullable() });

/** See `Subject`. */
const subject = z.strictObject({
  organization: text.nullable(),
  workspace: text,
  environment: text.nullable(),
  block: text,
  version: text.nullable(),
  action: text,
  labels: z.record(z.string(), z.string()),
  kind: text.nullable(),
  executor: z.enum(['docker', 'local', 'cli']),
  prompt: z.string().max(20_000).nullable(),
});

const intent = z
  .strictObject({
    event,
    lease: z.strictObject({
      run_id: id,
      owner,
      executor: kind,
      phase,
      ref: text.nullable(),
      expires_at: time,
      timeout_ms: time.nullable(),
    }),
    idempotency: idempotency.nullable(),
    untold: z.strictObject({ call: text, teller: owner, valid_ms: time }).nullable(),
    exclusive: z.boolean(),
    burn: z.strictObject({ nonce: text, expires_at: time }).nullable(),
    quota: quota.nullable().optional(),
    submission: z.strictObject({ endpoint: text }).nullable().optional(),
    about: z.array(subject).max(1_000).optional(),
    // The calls that led to it are the server's to say.
    calls: z.null(),
  })
  .transform(({ quota: rule = null, submission = null, about = [], ...rest }): IntentRequest => ({
    ...rest,
    about,
    quota: rule,
    submission,
  }));

const name = z.string().max(500);
const runnerName = z.string().regex(RUNNER_NAME);
const workspace = z.strictObject({
  organization: name.nullable(),
  name,
  alias: z.array(name).max(100).readonly(),
  environment: z.strictObject({ value: name, origin: name }).nullable(),
  blocks: z.array(name).max(10_000).readonly(),
  aliases: z.array(name).max(10_000).readonly(),
});
const announcement = z.strictObject({
  name: runnerName,
  labels: z.record(name, name),
  version: name,
  engine: z.strictObject({
    ...{ kind: name, available: z.boolean(), version: name.nullable() },
    problem: z.string().max(5_000).nullable(),
  }),
  workspaces: z.array(workspace).max(10_000).readonly(),
});

const leaseChange = z.union([
  z.strictObject({ release: z.literal(true) }),
  z.strictObject({ phase, ref: text.nullable() }),
]);

/** Arguments of every method, by its name. */
export const METHODS = {
  /** `call`: the server's own id of the call that this is for; null: it is a step of a workflow. */
  'ledger/request': z.strictObject({ intent, call: text.nullable(), write_id: id }),
  'ledger/replay': z.strictObject({ idempotency, now: time }),
  'ledger/append': z.strictObject({
    event,
    guard: guard.nullable(),
    lease: leaseChange.nullable(),
    write_id: id,
  }),
  'ledger/withdraw': z.strictObject({ write_id: id }),
  'ledger/find': z.strictObject({ id: text }),
  'ledger/status': z.strictObject({}),
  'ledger/key': z.strictObject({}),
  'leases/now': z.strictObject({}),
  'leases/list': z.strictObject({}),
  'leases/renew': z.strictObject({ owner, expires_at: time }),
  'leases/take': z.strictObject({ seen: seenLease, owner, expires_at: time, write_id: id }),
  'leases/promote': z.strictObject({
    guard,
    to: z.strictObject({
      executor: z.enum(['docker', 'local', 'cli', 'workflow', 'remote', 'approval']),
      alone: z.boolean(),
    }),
  }),
  'leases/give': z.strictObject({ guard, how: z.enum(['release', 'delete']) }),
  /** Whether who asked for a run that waits may still have it. */
  'requesters/refusal': z.strictObject({ principal, max_age_ms: count }),
  'untold/find': z.strictObject({ call: text, since: time }),
  'untold/pass': z.strictObject({
    seen: z.strictObject({ run_id: id, teller: owner.nullable(), at: time }),
    to: owner.nullable(),
  }),
  'untold/told': z.strictObject({ run_id: id }),
  /** `since`: what the last answer said; null: there was none. Answers when something may have changed. */
  watch: z.strictObject({ since: text.nullable(), max_ms: z.number().int().min(0).max(LONGEST_POLL_MS) }),
  'logs/pieces': z.strictObject({ run_id: id }),
  /** Whole lines. Answers how many bytes the piece has now. */
  'logs/write': z.strictObject({
    run_id: id,
    piece: count,
    offset: count,
    // One line may be as long as a piece of a log's line, and what hides secrets in it.
    text: z.string().max(4 * PIECE_CHARACTERS),
  }),
  'logs/drop': z.strictObject({ run_id: id, piece: count }),
  /** It is there, or there is news of it; answers what decides at the server. */
  'calls/enter': z.strictObject({ runner: announcement }),
  /** What decides at the server, for a process that takes no calls. */
  'calls/rules': z.strictObject({}),
  /** Waits for calls. The same `taker` gets those again of which the answer was lost. */
  'calls/next': z.strictObject({ name: runnerName, taker: id }),
  /** False: nobody waits for it any more. */
  'calls/answer': z.strictObject({ name: runnerName, call: id, answer: z.unknown() }),
  /** It ends by itself. */
  'calls/leave': z.strictObject({ name: runnerName }),
} as const;

export type Method = keyof typeof METHODS;
export type ArgumentsOf<M extends Method> = z.output<(typeof METHODS)[M]>;

export function isMethod(name: string): name is Method {
  return Object.hasOwn(METHODS, name);
}

/** An error on its way back. */
export const WIRE_ERROR = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    valid: z.array(z.string()).optional(),
    next: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});
export const WIRE_VALUE = z.object({ value: z.unknown() });

/** What every method answers. */
export interface Results {
  'ledger/request': Intent;
  'ledger/replay': Replay | null;
  'ledger/append': ActionRun;
  'ledger/withdraw': null;
  'ledger/find': ActionRun | null;
  'ledger/status': LedgerStatus;
  /** Base64. */
  'ledger/key': string;
  'leases/now': number;
  'leases/list': Lease[];
  'leases/renew': Lease[];
  'leases/take': Lease | null;
  'leases/promote': { active: string } | null;
  'leases/give': null;
  'requesters/refusal': string | null;
  'untold/find': UntoldRun[];
  'untold/pass': boolean;
  'untold/told': null;
  watch: { since: string };
  'logs/pieces': (PieceSize & { sha256: string })[];
  'logs/write': number;
  'logs/drop': null;
  'calls/enter': RulesInForce;
  'calls/rules': RulesInForce;
  'calls/next': NextCalls;
  'calls/answer': boolean;
  'calls/leave': null;
}
