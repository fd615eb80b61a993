import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { peopleOf, type People } from '../../access/people.ts';
import {
  expectationsSchema,
  POLICY_KEYS,
  policySchema,
  type Expectation,
} from '../../actions/policy-file.ts';
import type { PolicySource } from '../../runs/load-policy.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import { closest } from '../../shared/names.ts';
import { readYaml } from './read-yaml.ts';
import { plain, type Node } from './yaml-nodes.ts';

const POLICY = 'POLYCRATE_MCP_POLICY';
const PEOPLE = 'POLYCRATE_MCP_PEOPLE';
const MAX_BYTES = 1024 * 1024;

/** The operator's policy file. `roots`: folders of workspaces, which assistants may write to. */
export function policySource(file: string, roots: readonly string[]): PolicySource {
  return {
    file,
    async stamp() {
      const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true }).catch(
        unreadable(POLICY, file),
      );
      return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
    },
    async read() {
      await refuseInWorkspace(file, roots);
      const { value, digest } = await readChecked(POLICY, file, policySchema);
      return { policy: value, digest };
    },
  };
}

/** Expectations in a file of their own. */
export async function readExpectations(file: string): Promise<Expectation[]> {
  return (await readChecked('policy test', file, expectationsSchema)).value.tests;
}

const peopleSchema = z.strictObject({
  people: z.array(
    z.strictObject({
      person: z.string().trim().min(1).max(200),
      principals: z.array(z.string().regex(/^(os|key|oidc|api):\S/, 'is not kind:subject or kind:issuer#subject')).default([]),
      names: z.array(z.string().trim().min(1)).default([]),
    }),
  ),
}); // prettier-ignore

/** What may stand in a file of the operator, by what it stands in. */
type KnownKeys = Readonly<Record<string, readonly string[]>>;
const PEOPLE_KEYS: KnownKeys = { file: ['people'], people: ['person', 'principals', 'names'] };

/** The operator's map of principals to persons. It is read when a process first needs it, and then stays. */
export async function readPeople(file: string, roots: readonly string[]): Promise<People> {
  await refuseInWorkspace(file, roots, PEOPLE);
  const { value } = await readChecked(PEOPLE, file, peopleSchema);
  const all = value.people.flatMap(({ principals }) => principals);
  const twice = all.find((principal, index) => all.indexOf(principal) !== index);
  if (twice !== undefined) throw refuse(PEOPLE, `${file}: ${twice} stands for two persons`);
  return peopleOf(value.people);
}

async function refuseInWorkspace(file: string, roots: readonly string[], setting = POLICY): Promise<void> {
  const real = await realpath(file).catch(unreadable(setting, file));
  for (const root of roots) {
    const folder = await realpath(root).catch(() => root);
    if (real.startsWith(`${folder}/`)) {
      throw refuse(setting, `${file} lies in ${root}, where workspaces are: who may change those must not change the rules`);
    }
  }
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) {
    const inside = await stat(join(folder, 'workspace.poly')).then(() => true, () => false);
    if (inside) throw refuse(setting, `${file} lies in the workspace ${folder}`);
  }
} // prettier-ignore

async function readChecked<T>(
  setting: string,
  file: string,
  schema: z.ZodType<T>,
): Promise<{ value: T; digest: string }> {
  const bytes = await readFile(file).catch(unreadable(setting, file));
  if (bytes.length > MAX_BYTES) throw refuse(setting, `${file} is larger than 1 MiB`);
  const { root, problems } = await readYaml(bytes, file);
  const [problem] = problems;
  if (problem) throw refuse(setting, `${file}:${problem.line ?? 1}: ${problem.message}`);
  if (root === null) throw refuse(setting, `${file} is empty`);
  const parsed = schema.safeParse(structuredClone(plain(root)));
  if (parsed.success) return { value: parsed.data, digest: sha256(bytes) };
  const keys = setting === PEOPLE ? PEOPLE_KEYS : POLICY_KEYS;
  throw refuse(setting, parsed.error.issues.slice(0, 5).map((issue) => told(issue, { file, root, keys })).join('; '));
} // prettier-ignore

/** A problem with its line: that of the nearest thing that is there. */
function told(
  issue: z.core.$ZodIssue,
  { file, root, keys }: { file: string; root: Node; keys: KnownKeys },
): string {
  const path = issue.path.map(String);
  const odd = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const line = lineOf(root, odd === undefined ? path : [...path, odd]);
  const where = path.length === 0 ? '' : `${path.join('.')} `;
  if (odd === undefined) return `${file}:${line}: ${where}${issue.message}`;
  const valid = keys[path.findLast((part) => part in keys) ?? 'file'] ?? [];
  const [near] = closest(odd, valid, 1);
  return `${file}:${line}: ${where}has no "${odd}"; did you mean ${near}? Known are ${valid.join(', ')}`;
}

function lineOf(root: Node, path: readonly string[]): number {
  let node: Node = root;
  let { line } = root;
  for (const part of path) {
    const entry: { line: number; node: Node } | undefined =
      node.kind === 'map' ? node.entries.get(part) : undefined;
    const item: Node | undefined = node.kind === 'list' ? node.items[Number(part)] : entry?.node;
    if (!item) break;
    line = entry?.line ?? item.line;
    node = item;
  }
  return line;
}

function unreadable(setting: string, file: string): (error: unknown) => never {
  return (error) => {
    throw refuse(setting, `${file} cannot be read: ${messageOf(error)}`);
  };
}

function refuse(setting: string, message: string): AppError {
  return new AppError('configuration', `${setting}: ${message}`, {
    next:
      setting === PEOPLE
        ? 'the operator can mend the file: people, each with person, principals (kind:subject) and names'
        : 'polycrate-mcp policy test FILE checks a policy file',
  });
}
