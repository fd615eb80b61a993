import type { Block, Problem } from '../blocks/block.ts';
import type { BlockDeclaration } from '../blocks/declaration.ts';
import { findAction } from '../blocks/find.ts';
import { resolveBlocks } from '../blocks/resolve.ts';
import { AppError } from '../shared/errors.ts';
import type { SecretsDeclaration, WorkspaceDeclaration } from './declaration.ts';
import { environmentOf } from './environment.ts';
import { findBlock } from './find.ts';
import type { Workflow, Workspace } from './workspace.ts';

/** Everything that was found on disk about one workspace folder. */
export interface WorkspaceParts {
  path: string;
  /** Name of the folder; stands in where workspace.poly has no usable name. */
  folder: string;
  runnable: boolean;
  declared: WorkspaceDeclaration;
  /** Null: for a view, which must not know them. */
  secrets: SecretsDeclaration | null;
  /** From block.poly files, in walk order. */
  blocks: readonly BlockDeclaration[];
  /** Of files that yielded no block. */
  problems: readonly Problem[];
  /** Looks up the operator's map of environments by address. */
  configured(workspace: Pick<Workspace, 'organization' | 'name'>): string | null;
}

/** Joins workspace.poly with the blocks on disk and resolves what each block really is. */
export function assembleWorkspace(parts: WorkspaceParts): Workspace {
  const { name, blocks: declared, workflows, ...facts } = parts.declared;
  const plain = [...declared, ...parts.blocks];
  const secrets = secretsFor(plain, parts.secrets);
  const differences = facts.problems.filter(isDifference);
  const problems = facts.problems.filter((problem) => !isDifference(problem));
  const blocks = resolveBlocks([...secrets.blocks, ...plain]);
  const identity = { organization: facts.organization, name: name ?? parts.folder };
  const labels = facts.labels;
  const workspace: Workspace = {
    ...facts,
    ...identity,
    extraenv: { ...facts.extraenv, ...secrets.extraenv },
    path: parts.path,
    runnable: parts.runnable,
    environment: environmentOf({ labels, configured: parts.configured(identity), blocks }),
    blocks,
    workflows,
    problems: [
      ...secrets.problems,
      ...problems,
      ...parts.problems,
      ...blocks.flatMap((block: Block) => block.problems),
    ],
    differences,
  };
  return { ...workspace, workflows: workflows.map((workflow) => checkWorkflow(workspace, workflow)) };
}

const NO_SECRETS: SecretsDeclaration = { blocks: [], extraenv: {}, problems: [] };

/** Secrets of blocks that are not there make no blocks: that is most likely a misspelt name. */
function secretsFor(
  plain: readonly BlockDeclaration[],
  secrets: SecretsDeclaration | null,
): SecretsDeclaration {
  if (secrets === null) return NO_SECRETS;
  const known = new Set(plain.map((block) => block.name));
  const strangers = secrets.blocks.filter((block) => !known.has(block.name));
  const problems = strangers.map(({ name, at }): Problem => {
    const message = `names the block ${name}, which the workspace does not have; its values have no effect`;
    return { severity: 'warning', ...at, message };
  });
  return {
    ...secrets,
    blocks: secrets.blocks.filter((block) => known.has(block.name)),
    problems: [...secrets.problems, ...problems],
  };
}

function isDifference({ severity }: Problem): boolean {
  return severity === 'difference';
}

/** A workflow whose steps lead nowhere is not run up to that step: it is refused before it starts. */
function checkWorkflow(workspace: Workspace, workflow: Workflow): Workflow {
  if (workflow.problem !== null) return workflow;
  for (const step of workflow.steps) {
    try {
      findAction(findBlock(workspace, step.block), step.action);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { ...workflow, problem: `step ${step.name}: ${error.message}` };
    }
  }
  return workflow;
}
