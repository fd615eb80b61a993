import { z } from 'zod';
import { KEY_ROLES } from '../access/identity.ts';
import { STRENGTHS } from '../actions/strength.ts';

// Members of records, as a runner may send them.

export const word = z.string().max(1_000);
export const prose = z.string().max(64_000);
/** Milliseconds; the latest that a date can be. */
export const time = z.number().int().min(0).max(8.64e15);
export const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const word_ = word.nullable();

export const principal = z.strictObject({
  kind: z.enum(['os', 'key', 'oidc', 'api']),
  issuer: word_,
  subject: word,
  display: word,
});
export const client = z.strictObject({ name: word, version: word_ });
export const approval = z.strictObject({
  outcome: z.enum(['approved', 'declined']),
  strength: z.enum(STRENGTHS),
  by: word.optional(),
  at: time,
  person: word_.optional(),
  reason: prose.nullable().optional(),
});
export const roles = z.array(z.enum(KEY_ROLES)).max(KEY_ROLES.length);

const step = z.strictObject({
  name: word,
  block: word,
  reference: word,
  action: word,
  run_id: z.uuid(),
  plan_digest: word,
  not_run: prose.nullable(),
});
export const steps = z.array(step).max(1_000);

const executor = z.strictObject({
  kind: z.enum(['docker', 'local', 'cli']),
  runner: word_,
  image: word_,
  image_digest: word_,
  container: word_,
});
const pins = z.strictObject({
  block: word_,
  config: word,
  config_keys: z.record(word, word),
  inventory: word_,
  image: word_,
});

/** What of a record is of its plan. */
export const planned = {
  workspace_commit: word_,
  workspace_dirty: z.boolean().nullable(),
  block: word_,
  block_version: word_,
  app_version: word_,
  block_from: word_,
  action: word_,
  executor: executor.nullable(),
  cli_version: word_,
  plan_digest: word_,
  pins: pins.nullable(),
};

export const approvalRequest = z.strictObject({
  count: z.number().int().min(1).max(100),
  role: z.enum(['approver', 'admin']).nullable(),
  strength: z.enum(STRENGTHS),
  nonce: word,
  plan_digest: word,
  rule: word,
  why: prose,
  asked_at: time,
  expires_at: time,
  again: prose.nullable(),
  shown: z.array(prose).max(1_000),
  drift: z.array(prose).max(1_000),
  mode: z.enum(['pinned', 'current']).nullable(),
  alone: z.boolean(),
});

/** The first thing that is wrong, in words; null: nothing is. */
export function wrongIn(schema: z.ZodType, value: unknown): string | null {
  const read = schema.safeParse(value);
  if (read.success) return null;
  const [issue] = read.error.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not readable'}`;
}
