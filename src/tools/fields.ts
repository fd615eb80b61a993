import { z } from 'zod';

// Input fields that several tools share; module-level, so that they are built once.

/** Longer than any name or id can be. */
const NAME_CHARACTERS = 200;
const name = z.string().max(NAME_CHARACTERS);

export const workspaceName = name.describe('Name, or organization/name if the name is ambiguous');
export const blockName = name.describe('Name, or name:version');
export const actionName = name.describe('Name of an action of the block');
export const workflowName = name;
/** Where there are runners. */
export const runnerName = z.string().optional();
export const describedRunner = z.string().describe('Name, or labels: site=berlin').optional();
export const runId = name.describe('Id, alias, or unique prefix of 8+');
export const reason = z.string().max(2000).describe('Why; stored in the record').optional();
export const limit = z.number().int().min(1).max(100).default(20);
export const cursor = z.string().max(2000).describe('next_cursor of the previous answer').optional();
export const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .describe(
    'Same key and arguments within 24 h return the first run, not another; without a key, an identical call within 10 min of one that got no answer does',
  )
  .optional();
// Where run_action has told about them.
export const sameKey = z.string().min(1).max(200).optional();
export const plainReason = z.string().max(2000).optional();
export const sameDigest = name.optional();
export const sameTimeout = timeoutOf();
export const planDigest = name
  .describe('digest of plan_action: refuse if what would run has changed')
  .optional();
export const waitSeconds = z.number().min(0).max(50);
export const timeoutSeconds = timeoutOf().describe('Stop the run after this long');

const time = z.string().max(100).optional();

/** When; what resolveInterval takes. */
export const interval = {
  during: time.describe(
    'Words or a date: friday evening, last month, 2026-10-25, 24h; excludes since, until',
  ),
  since: time.describe('ISO 8601, 7d (back from now), or words: yesterday 21:17'),
  until: time,
  timezone: z.string().max(100).describe('IANA; for words and times without offset').optional(),
};

/** The same where search_action_runs has told about it. */
export const sameInterval = {
  during: time,
  since: time,
  until: time,
  timezone: z.string().max(100).optional(),
};
export const sameCursor = z.string().max(2000).optional();

/** A list, or one string. */
export const names = z.union([name, z.array(name).max(50)]).optional();

/** A run in results: an open object, spelt out once in the resource polycrate://runs/{run_id}. */
export const runObject = z.looseObject({
  id: z.string(),
  status: z.string(),
  exit_code: z.number().nullable(),
});

/** Top level of every answer about one run. */
export const runResult = {
  run: runObject,
  finished: z.boolean(),
  succeeded: z.boolean().nullable(),
};

export const openObjects = z.array(z.looseObject({}));

/** Lists in answers: how many are here, how many there are, where to go on. */
export const page = {
  returned: z.number(),
  total: z.number(),
  next_cursor: z.string().nullable(),
};

/** The same for groups of runs. */
export const groupPage = {
  returned: z.number(),
  total_runs: z.number(),
  total_groups: z.number(),
  next_cursor: z.string().nullable(),
  approximate: z.boolean(),
};

function timeoutOf(): z.ZodOptional<z.ZodNumber> {
  return z
    .number()
    .int()
    .min(1)
    .max(7 * 24 * 3600)
    .optional();
}

export function listOf(value: string | readonly string[] | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const list = typeof value === 'string' ? [value] : [...value];
  return list.length === 0 ? undefined : list;
}
