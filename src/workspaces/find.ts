import type { Block } from '../blocks/block.ts';
import { AppError } from '../shared/errors.ts';
import { checkText, closest, parseBlockRef, parseWorkspaceRef, withoutHost } from '../shared/names.ts';
import { addressOf, type Workflow, type Workspace } from './workspace.ts';

/** What a workspace is found by. */
type Named = Pick<Workspace, 'name' | 'organization' | 'alias'> & { path?: string };

/** A workspace by name, by `organization/name`, or by an alias; names are compared as they are, never split. */
export function findWorkspace<W extends Named>(workspaces: readonly W[], reference: string): W {
  parseWorkspaceRef(reference);
  const byAddress = workspaces.filter((workspace) => addressOf(workspace) === reference);
  const found =
    byAddress.length > 0 ? byAddress : workspaces.filter((workspace) => workspace.name === reference);
  const named =
    found.length > 0 ? found : workspaces.filter((workspace) => workspace.alias.includes(reference));
  const [only, ...others] = named;
  if (only && others.length === 0) return only;
  if (only) throw severalWorkspaces(reference, named);
  const known = workspaces.flatMap((workspace) => [workspace.name, addressOf(workspace)]);
  throw new AppError('unknown_name', `There is no workspace "${reference}".`, {
    valid: closest(reference, known),
    next: 'list_workspaces shows every workspace.',
  });
}

function severalWorkspaces(reference: string, found: readonly Named[]): AppError {
  const addresses = [...new Set(found.map(addressOf))];
  const twins = addresses.length < found.length;
  return new AppError('ambiguous_name', `"${reference}" names ${found.length} workspaces.`, {
    valid: addresses,
    next: twins
      ? 'Several folders hold the same organization and name: rename one, or configure only one of them.'
      : 'Use organization/name.',
    details: { paths: found.flatMap(({ path }) => path ?? []) },
  });
}

/** A block by full name, by `name:version`, by a name without registry host, or by an alias, if it fits only one. */
export function findBlock(workspace: Workspace, reference: string): Block {
  checkText('block', reference);
  const { blocks } = workspace;
  const literal = blocks.find((block) => block.name === reference);
  if (literal) return literal;
  const { name, version } = parseBlockRef(reference);
  const exact = blocks.filter((block) => block.name === name);
  const found =
    [
      exact,
      blocks.filter((block) => withoutHost(block.name) === withoutHost(name)),
      blocks.filter((block) => block.alias.includes(name)),
    ].find((some) => some.length > 0) ?? [];
  const [block, ...others] = found;
  if (!block) {
    const names = blocks.map((candidate) => candidate.name);
    throw new AppError('unknown_name', `Workspace ${addressOf(workspace)} has no block "${name}".`, {
      valid: closest(name, names),
      next: 'list_blocks shows the blocks of the workspace.',
    });
  }
  if (others.length > 0) {
    throw new AppError('ambiguous_name', `"${name}" fits ${found.length} blocks.`, {
      valid: found.map((candidate) => candidate.name),
      next: 'Use the full name with its registry host.',
    });
  }
  if (version !== null && version !== block.version) throw otherVersion(block, version);
  return block;
}

function otherVersion(block: Block, version: string): AppError {
  const actual = block.version === null ? 'without a version' : `in version ${block.version}`;
  return new AppError('unknown_name', `Block ${block.name} is there ${actual}, not ${version}.`, {
    valid: [block.version === null ? block.name : `${block.name}:${block.version}`],
    next: 'list_blocks shows the versions in the workspace.',
  });
}

export function findWorkflow(workspace: Workspace, name: string): Workflow {
  checkText('workflow', name);
  const found = workspace.workflows.find((workflow) => workflow.name === name);
  if (found) return found;
  const names = workspace.workflows.map((workflow) => workflow.name);
  throw new AppError('unknown_name', `Workspace ${addressOf(workspace)} has no workflow "${name}".`, {
    valid: closest(name, names),
    next: 'list_workspaces shows the workflows of each workspace.',
  });
}
