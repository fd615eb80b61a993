import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { ON_REMOTE_CONFLICT, type ApiEndpoint, type ApiSetup } from '../../platform/endpoints.ts';
import { codeOf, messageOf } from '../../shared/errors.ts';
import { isPlainElsewhere, readInstanceUrl } from '../../shared/instance-url.ts';
import { isObject } from '../../shared/json.ts';

/** What flags and environment say about the API; null: nothing. */
export interface ApiSettings {
  enabled: boolean | null;
  url: string | null;
  key: string | null;
  submit: boolean | null;
  onRemoteConflict: ApiEndpoint['on_remote_conflict'];
  /** POLYCRATE_MCP_API_ENDPOINTS. */
  endpointsFile: string | null;
  /** `~/.polycrate/polycrate.yml`. */
  cliFile: string;
}

type Findings = { [K in keyof ApiSetup]: ApiSetup[K][number][] };

const DEFAULT_NAME = 'default';

/** Reads the CLI's own configuration and the operator's file of endpoints. What is wrong is told, and hides nothing else. */
export async function readApiSetup(settings: ApiSettings): Promise<ApiSetup> {
  const found: Findings = { endpoints: [], problems: [], warnings: [], read: [] };
  if (settings.endpointsFile !== null) await readEndpoints(settings.endpointsFile, settings, found);
  await readCliApi(settings, found);
  for (const { name, url } of found.endpoints) {
    if (isPlainElsewhere(url))
      found.warnings.push(`the endpoint ${name} is reached over plain http: its key can be read on the way`);
  }
  return found;
}

const cliSchema = z.object({
  enabled: z.boolean().nullish(),
  url: z.string().nullish(),
  api_key: z.string().nullish(),
  submit_action_runs: z.boolean().nullish(),
});

async function readCliApi(settings: ApiSettings, found: Findings): Promise<void> {
  const file = settings.cliFile;
  const parsed = cliSchema.safeParse((await readYaml(file, found, { optional: true }))?.['api'] ?? {});
  if (!parsed.success) {
    found.problems.push(`${file}: api.${parsed.error.issues[0]!.path.join('.')} is of the wrong type`);
  }
  const section = parsed.data ?? {};
  const enabled = settings.enabled ?? section.enabled ?? false;
  const url = settings.url ?? section.url ?? null;
  const key = settings.key ?? section.api_key ?? null;
  if (!settings.key && section.api_key) await warnIfExposed(file, found);
  if (!enabled) {
    if (settings.url !== null || settings.key !== null)
      found.warnings.push('an API is named but not used: POLYCRATE_API_ENABLED is not true');
    return;
  }
  const submit = settings.submit ?? section.submit_action_runs ?? true;
  add({ name: DEFAULT_NAME, url, key, submit, workspaces: null, on_remote_conflict: settings.onRemoteConflict }, found, {
    url: 'POLYCRATE_API_URL', key: 'POLYCRATE_API_API_KEY',
  });
} // prettier-ignore

const endpointSchema = z.strictObject({
  url: z.string(),
  api_key: z.string().optional(),
  api_key_file: z.string().optional(),
  submit_action_runs: z.boolean().default(true),
  workspaces: z.array(z.string()).optional(),
  on_remote_conflict: z.enum(ON_REMOTE_CONFLICT).optional(),
});
const endpointsSchema = z.strictObject({
  endpoints: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,40}$/), endpointSchema),
});

async function readEndpoints(file: string, settings: ApiSettings, found: Findings): Promise<void> {
  const content = await readYaml(file, found, { optional: false });
  if (!content) return;
  const { data, error } = endpointsSchema.safeParse(content);
  if (!data) {
    const issue = error.issues[0]!;
    // Messages quote no values: one of them may be a key.
    found.problems.push(
      `${file}: ${issue.path.join('.') || 'the file'}: ${issue.message}. Valid: endpoints: NAME: url, api_key or api_key_file, submit_action_runs, workspaces, on_remote_conflict`,
    );
    return;
  }
  for (const [name, entry] of Object.entries(data.endpoints)) {
    if (name === DEFAULT_NAME) {
      found.problems.push(`${file}: the name ${DEFAULT_NAME} stands for POLYCRATE_API_URL`);
      continue;
    }
    if (entry.api_key !== undefined) await warnIfExposed(file, found);
    const key =
      entry.api_key_file === undefined
        ? (entry.api_key ?? null)
        : await readKey(resolve(dirname(file), entry.api_key_file), found);
    const { url, submit_action_runs: submit, workspaces = null } = entry;
    const on_remote_conflict = entry.on_remote_conflict ?? settings.onRemoteConflict;
    add({ name, url, key, submit, workspaces, on_remote_conflict }, found, {
      url: `${file}: endpoints.${name}.url`,
      key: `${file}: endpoints.${name}.api_key`,
    });
  }
}

function add(
  draft: Omit<ApiEndpoint, 'url' | 'key'> & { url: string | null; key: string | null },
  found: Findings,
  places: { url: string; key: string },
): void {
  const read = draft.url === null ? { problem: 'is not set' } : readInstanceUrl(draft.url);
  const key = draft.key?.trim() ?? '';
  if ('problem' in read) found.problems.push(`${places.url} ${read.problem}`);
  // A header takes no line break, and what has spaces is more than a key.
  if (key === '') found.problems.push(`${places.key} is not set`);
  else if (!/^[\x21-\x7e]+$/.test(key))
    found.problems.push(`${places.key} has a space or another character that no key has`);
  else if ('url' in read) found.endpoints.push({ ...draft, url: read.url, key });
}

async function readYaml(
  file: string,
  found: Findings,
  { optional }: { optional: boolean },
): Promise<Record<string, unknown> | null> {
  try {
    const text = await readFile(file, 'utf8');
    found.read.push(file);
    const { parse } = await import('yaml');
    const content: unknown = parse(text, { logLevel: 'error' });
    if (isObject(content)) return content;
    if (content !== null) found.problems.push(`${file} is no YAML map`);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && optional) return null;
    // The first line alone: the others show the text of the file, and that may be a key.
    const says = codeOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error).split('\n')[0];
    found.problems.push(`${file} cannot be read: ${says}`);
  }
  return null;
}

async function readKey(file: string, found: Findings): Promise<string | null> {
  try {
    const key = await readFile(file, 'utf8');
    await warnIfExposed(file, found);
    return key.trim();
  } catch (error) {
    found.problems.push(`${file} cannot be read: ${messageOf(error)}`);
    return null;
  }
}

async function warnIfExposed(file: string, found: Findings): Promise<void> {
  const { mode } = await stat(file);
  const warning = `${file} holds a key and can be read by other users of this machine: chmod 600 ${file}`;
  if ((mode & 0o077) !== 0 && !found.warnings.includes(warning)) found.warnings.push(warning);
}
