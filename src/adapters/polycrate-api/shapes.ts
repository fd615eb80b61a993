import { z } from 'zod';
import type {
  RemoteActivity,
  RemoteBlockDetail,
  RemoteOrganization,
  RemoteRecord,
  RemoteRunDetail,
  RemoteWorkspace,
  RolloutItem,
} from '../../platform/polycrate-api.ts';
import { cleanText } from '../../shared/clean-text.ts';
import { isObject, type JsonObject } from '../../shared/json.ts';

// Only the members that are named here enter the process: among the others are support PINs, private keys and raw
// secrets. What is missing, null or of another type is null; only an object without its id is refused.

const LONGEST = 4_000;

const text = z
  .string()
  .transform((value) => cleanText(value.slice(0, LONGEST)))
  .nullable()
  .catch(null);
const number = z.number().nullable().catch(null);
const flag = z.boolean().catch(false);
const time = z
  .string()
  .transform((value) => {
    const at = Date.parse(value);
    return Number.isNaN(at) ? null : at;
  })
  .nullable()
  .catch(null);
const id = z.string().regex(/^[0-9A-Za-z-]{1,64}$/);
const url = z
  .string()
  .refine((value) => /^https?:\/\//.test(value) && URL.canParse(value))
  .transform(withoutUser)
  .nullable()
  .catch(null);

/** Free members: labels and metadata. Bounded, because whoever may submit runs decides what is in them. */
const upTo = (most: number) =>
  z.unknown().transform((value): JsonObject | null => {
    if (!isObject(value)) return null;
    return JSON.stringify(value).length > most ? null : (value as JsonObject);
  });
const free = upTo(64 * 1024);
const config = upTo(1024 * 1024);

const ref = z
  .object({ id: id.nullable().catch(null), name: text })
  .nullable()
  .catch(null);
const user = z.object({ id: number, username: text, email: text }).nullable().catch(null);
const created = z
  .object({ created_at: time, created_by: user })
  .catch({ created_at: null, created_by: null });

const runMembers = {
  id,
  status: z.string().max(64).catch('unknown'),
  action: text,
  organization: ref,
  workspace: ref,
  block: ref,
  started_at: time,
  finished_at: time,
  exit_code: number,
  created,
  created_by_user: user,
  url,
};

export const runShape = z.object(runMembers).transform(({ created, created_by_user, ...run }) => ({
  ...run,
  created_at: created.created_at,
  user: created_by_user ?? created.created_by,
}));

export const runDetailShape = z
  .object({
    ...runMembers,
    status_reason: text,
    block_version: text,
    block_labels: free,
    block_config: config,
    metadata: free,
    command: text,
    task_id: text,
    updated_at: time,
    is_deleted: flag,
    archived: flag,
  })
  .transform(({ created, created_by_user, ...run }) => ({
    ...run,
    created_at: created.created_at,
    user: created_by_user ?? created.created_by,
  })) satisfies z.ZodType<RemoteRunDetail>;

const log = z
  .string()
  .transform((value) => (value === '' ? null : value))
  .nullable()
  .catch(null);

export const logShape = z
  .object({ log_stdout: log, log_stderr: log })
  .transform(({ log_stdout, log_stderr }) => ({ stdout: log_stdout, stderr: log_stderr }));

export const workspaceShape = z
  .object({
    id,
    name: z.string(),
    organization: ref,
    purpose: text,
    url,
    git_commit_short_sha: text,
    created,
    archived: flag,
  })
  .transform(({ git_commit_short_sha, created: { created_at }, ...workspace }) => ({
    ...workspace,
    commit: git_commit_short_sha,
    created_at,
  })) satisfies z.ZodType<RemoteWorkspace>;

const blockMembers = {
  id,
  name: z.string(),
  workspace: ref,
  organization: ref,
  kind: text,
  version: text,
  template: flag,
};

export const blockShape = z.object(blockMembers);

/** Objects, names, or a map by name: no document says which. Only what is named here is let in. */
const actions = z.unknown().transform((value): RemoteBlockDetail['actions'] => {
  const entries = Array.isArray(value)
    ? value.map((one: unknown): [unknown, unknown] => (isObject(one) ? [one['name'], one] : [one, null]))
    : isObject(value)
      ? Object.entries(value)
      : [];
  const named = entries
    .slice(0, MOST_ACTIONS)
    .flatMap(([name, one]) =>
      typeof name === 'string' ? [{ name: cleanText(name.slice(0, LONGEST)), prompt: promptOf(one) }] : [],
    );
  return named.length === 0 ? null : named;
});
const MOST_ACTIONS = 1_000;

/** A text, or an object with one as its message; whatever else is set there is a question too. */
function promptOf(action: unknown): string | null {
  const prompt = isObject(action) ? (action['prompt'] ?? null) : null;
  if (prompt === null || prompt === '' || prompt === false) return null;
  const message = isObject(prompt) ? prompt['message'] : prompt;
  if (isObject(prompt) && Object.keys(prompt).length === 0) return null;
  return typeof message === 'string' ? cleanText(message.slice(0, LONGEST)) : 'a confirmation';
}

export const blockDetailShape = z
  .object({ ...blockMembers, from_block: text, app_version: text, created_by_component: text, actions })
  .transform(({ from_block, created_by_component, ...block }) => ({
    ...block,
    from: from_block,
    managed_by: created_by_component,
  })) satisfies z.ZodType<RemoteBlockDetail>;

export const organizationShape = z.object({ id, name: z.string() }) satisfies z.ZodType<RemoteOrganization>;

export const activityShape = z
  .object({
    id,
    kind: z.string(),
    message: text,
    user_email: text,
    object_type: text,
    object_id: text,
    object_name: text,
    created,
  })
  .transform(({ created: { created_at }, ...activity }) => ({
    ...activity,
    created_at,
  })) satisfies z.ZodType<RemoteActivity>;

export const rolloutItemShape = z
  .object({
    id,
    block: id,
    action_name: z.string(),
    status: z.string(),
    action_run: id.nullable().catch(null),
    reason: text,
    retry_after: time,
  })
  .transform(({ action_name, ...item }) => ({
    ...item,
    action: action_name,
  })) satisfies z.ZodType<RolloutItem>;

/** What a report is answered with. */
export const recordShape = z
  .object({ action_run_id: id, action_run_url: url })
  .transform(({ action_run_id, action_run_url }) => ({
    id: action_run_id,
    url: action_run_url,
  })) satisfies z.ZodType<RemoteRecord>;

export const conflictShape = z.object({ conflict: recordShape }).transform(({ conflict }) => conflict);

export const pageShape = z.object({
  count: z.number().catch(0),
  next: z.string().nullable().catch(null),
  previous: z.string().nullable().catch(null),
  results: z.array(z.unknown()),
});

/** The common shape of errors; anything else is none of the API's own. */
export const errorShape = z.object({
  errors: z.array(
    z.object({
      code: z.string().catch(''),
      detail: z.string().catch(''),
      attr: z.string().nullable().catch(null),
    }),
  ),
});

function withoutUser(value: string): string {
  const parsed = new URL(value);
  parsed.username = parsed.password = '';
  return parsed.href;
}
