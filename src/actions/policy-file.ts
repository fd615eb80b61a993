import { z } from 'zod';
import { ROLES } from '../access/identity.ts';
import { STRENGTHS } from './strength.ts';

// What a policy file may say. The file itself is read by an adapter, which knows the lines.

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
export const DEFAULT_EXPIRY_MS = 3_600_000;
const MOST_APPROVERS = 10;
const MOST_EXPIRY_MS = 7 * UNIT_MS.d;

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export const TRIGGERS = ['mcp', 'workflow', 'retrigger'] as const;

const duration = z
  .string()
  .regex(/^\d{1,6}[smhd]$/, 'is not a duration such as 30m, 2h or 1d')
  .transform((text) => Number(text.slice(0, -1)) * UNIT_MS[text.at(-1) as keyof typeof UNIT_MS])
  .refine((ms) => ms > 0, 'must be above 0');
const pattern = z.string().trim().min(1, 'is empty').max(200);
const one = <T extends z.ZodType>(item: T): z.ZodType<z.output<T>[]> =>
  z.preprocess(
    (value): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [value]),
    z.array(item).min(1, 'is an empty list'),
  );
const patterns = one(pattern);
const zone = z.string().refine(isZone, 'is not an IANA zone such as Europe/Berlin');
const hours = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d$/, 'is not hours such as 08:00-18:00')
  .transform((text) => text.split('-').map(minutesOf) as [number, number])
  .refine(([from, to]) => from !== to && to <= 24 * 60, 'is no time of a day');

const whenSchema = z.strictObject({
  principal: patterns.optional(),
  role: one(z.enum(ROLES)).optional(),
  organization: patterns.optional(),
  workspace: patterns.optional(),
  environment: patterns.optional(),
  block: patterns.optional(),
  action: patterns.optional(),
  labels: z.record(z.string(), pattern).optional(),
  kind: patterns.optional(),
  executor: one(z.enum(['docker', 'local', 'cli', 'remote'])).optional(),
  trigger: one(z.enum(TRIGGERS)).optional(),
  client: patterns.optional(),
  days: one(z.enum(DAYS)).optional(),
  hours: hours.optional(),
  zone: zone.optional(),
});

const approveSchema = z.strictObject({
  count: z.int().min(1).max(MOST_APPROVERS).default(1),
  role: z.enum(['approver', 'admin']).nullable().default(null),
  strength: z.enum(STRENGTHS).optional(),
  expires: duration.refine((ms) => ms <= MOST_EXPIRY_MS, 'is longer than 7 days').default(DEFAULT_EXPIRY_MS),
});

const limitsSchema = z.strictObject({
  concurrency: z.int().min(1).optional(),
  per_hour: z.int().min(1).optional(),
  timeout: duration.optional(),
});

const ruleSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'is not lower-case letters, digits and . _ - (60 at the most)'),
    when: whenSchema.default({}),
    decision: z.enum(['allow', 'approve', 'deny']),
    why: z.string().max(300).nullable().default(null),
    approve: approveSchema.optional(),
    reason: z.enum(['required', 'optional']).default('optional'),
    limits: limitsSchema.default({}),
    lock: z.enum(['block', 'none']).default('none'),
  })
  .superRefine((rule, context) => {
    const refuse = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (rule.approve && rule.decision !== 'approve') refuse('approve', `has no meaning where the decision is ${rule.decision}`);
    if (rule.when.client && rule.decision === 'allow') {
      refuse('when', 'has a client, which is only a claim and may not allow anything: use approve or deny');
    }
  }); // prettier-ignore

const testSchema = z.strictObject({
  principal: z.string().default('os:somebody'),
  roles: one(z.enum(ROLES)).default(['runner']),
  organization: z.string().nullable().default(null),
  workspace: z.string(),
  environment: z.string().nullable().default(null),
  block: z.string(),
  version: z.string().nullable().default(null),
  action: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  kind: z.string().nullable().default(null),
  executor: z.enum(['docker', 'local', 'cli', 'remote']).default('docker'),
  trigger: z.enum(TRIGGERS).default('mcp'),
  client: z.string().nullable().default(null),
  at: z.iso.datetime({ offset: true, error: 'is not a time such as 2026-11-25T10:00:00+01:00' }),
  expect: z.enum(['allow', 'approve', 'deny']),
  rule: z.string().optional(),
});

export const policySchema = z
  .strictObject({
    version: z.literal(1, 'is not 1, the only version there is'),
    zone: zone.nullable().default(null),
    rules: z.array(ruleSchema).max(1_000),
    tests: z.array(testSchema).max(10_000).default([]),
  })
  .superRefine(({ rules }, context) => {
    rules.forEach(({ name }, index) => {
      if (rules.findIndex((rule) => rule.name === name) === index) return;
      context.addIssue({ code: 'custom', path: ['rules', index, 'name'], message: `"${name}" names another rule already` });
    });
  }); // prettier-ignore

/** Expectations in a file of their own. */
export const expectationsSchema = z.strictObject({ tests: z.array(testSchema).max(10_000) });

export type Policy = z.output<typeof policySchema>;
export type PolicyRule = Policy['rules'][number];
export type Expectation = Policy['tests'][number];

/** Names that a policy file has at each level, for whoever mistyped one. */
export const POLICY_KEYS: Readonly<Record<string, readonly string[]>> = {
  file: ['version', 'zone', 'rules', 'tests'],
  rules: ['name', 'when', 'decision', 'why', 'approve', 'reason', 'limits', 'lock'],
  when: Object.keys(whenSchema.shape),
  approve: Object.keys(approveSchema.shape),
  limits: Object.keys(limitsSchema.shape),
  tests: Object.keys(testSchema.shape),
};

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function minutesOf(text: string): number {
  const [hour, minute] = text.split(':');
  return Number(hour) * 60 + Number(minute);
}
