import { readFile } from 'node:fs/promises';
import { AppError, messageOf } from '../../shared/errors.ts';
import { kindOf, type Node } from './yaml-nodes.ts';
import { readYaml } from './read-yaml.ts';

const SETTING = 'POLYCRATE_MCP_ENVIRONMENTS';
const FORM = 'a line `organization/workspace: production` for each workspace';

/** The operator's map of `organization/name` to environment. Throws `configuration`, naming file and line. */
export async function readEnvironments(path: string): Promise<ReadonlyMap<string, string>> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw refuse(`${path} cannot be read: ${messageOf(error)}`);
  });
  const { root, problems } = await readYaml(bytes, path);
  const [problem] = problems;
  if (problem) throw refuse(`${path}:${problem.line ?? 1}: ${problem.message}`);
  if (root === null || root.kind !== 'map') throw refuse(`${path} holds no mapping`);
  return new Map([...root.entries].map(([address, { node }]) => [address, textOf(path, node)]));
}

function textOf(path: string, node: Node): string {
  if (node.kind === 'scalar' && node.text.trim() !== '') return node.text.trim();
  throw refuse(`${path}:${node.line}: expected the name of an environment, found ${kindOf(node)}`);
}

function refuse(message: string): AppError {
  return new AppError('configuration', `${SETTING}: ${message}`, { next: `write ${FORM}` });
}
