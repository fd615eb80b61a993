import type { ErrorObject } from 'ajv';
import type { Block } from '../../blocks/block.ts';
import { isObject } from '../../shared/json.ts';
import type { ConfigCheck } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';

const SCHEMA_FILE = 'schema.json';
const MAX_BYTES = 256 * 1024;
const MAX_VIOLATIONS = 10;

/**
 * Checks a block's effective configuration against the schema.json in its folder (polycrate-cli facts 2.2), else
 * against that of what it is made from. Null: there is none. Values are never quoted: they may be secrets.
 */
export async function checkConfig({ path }: Workspace, block: Block): Promise<ConfigCheck | null> {
  for (const dir of block.dirs) {
    const file = `${dir}/${SCHEMA_FILE}`;
    const real = await containedPath(path, file);
    if (real === null) continue;
    const read = await readRegular(real, MAX_BYTES);
    if (read.outcome !== 'read')
      return { file, violations: [], unchecked: 'is no regular file or too large' };
    return { file, ...(await check(Buffer.from(read.bytes).toString('utf8'), block.config)) };
  }
  return null;
}

type Outcome = Omit<ConfigCheck, 'file'>;

async function check(text: string, config: Block['config']): Promise<Outcome> {
  try {
    const schema: unknown = JSON.parse(text);
    if (!isObject(schema)) return unchecked('is not a JSON Schema');
    const validate = (await compilerOf(schema))(schema);
    validate(config);
    return { violations: (validate.errors ?? []).slice(0, MAX_VIOLATIONS).map(wordsOf), unchecked: null };
  } catch (error) {
    return unchecked(error instanceof SyntaxError ? 'is not JSON' : 'is not a JSON Schema that can be used');
  }
}

function unchecked(why: string): Outcome {
  return { violations: [], unchecked: why };
}

const DRAFT_2019 = /draft\/20(?:19-09|20-12)\//;

/** Loaded when the first schema is met; older drafts and newer ones need different readers. */
async function compilerOf(schema: Record<string, unknown>): Promise<(schema: object) => Validate> {
  const options = { allErrors: true, strict: false, validateFormats: false, logger: false } as const;
  const version = typeof schema['$schema'] === 'string' ? schema['$schema'] : '';
  if (DRAFT_2019.test(version)) {
    const { Ajv2020 } = await import('ajv/dist/2020.js');
    return (one) => new Ajv2020(options).compile(one);
  }
  const { Ajv } = await import('ajv');
  return ({ $schema: _unused, ...one }: { $schema?: unknown }) => new Ajv(options).compile(one);
}

interface Validate {
  (value: unknown): unknown;
  errors?: ErrorObject[] | null;
}

function wordsOf({ instancePath, keyword, message, params }: ErrorObject): string {
  const at = `config${instancePath.replaceAll('/', '.')}`;
  const extra: unknown = params['additionalProperty'];
  const name = keyword === 'additionalProperties' && typeof extra === 'string' ? `: ${extra}` : '';
  return `${at} ${message ?? 'is not valid'}${name}`;
}
