import type { Problem } from '../../blocks/block.ts';
import { isMetadataName } from '../../shared/names.ts';
import type { Workflow, WorkflowStep } from '../../workspaces/workspace.ts';
import { readPrompt } from './block-file.ts';
import { fieldsOf } from './fields.ts';
import type { ListNode, Node } from './yaml-nodes.ts';

interface Into {
  file: string;
  problems: Problem[];
}

/** Workflows of workspace.poly (polycrate-cli facts 7). What is wrong inside one is its own problem. */
export function readWorkflows(list: ListNode | null, into: Into): Workflow[] {
  const workflows = new Map<string, Workflow>();
  for (const node of list?.items ?? []) {
    const workflow = readWorkflow(node, into);
    if (!workflow) continue;
    const first = workflows.get(workflow.name);
    const twice = { ...workflow, ...first, problem: first?.problem ?? 'two workflows have this name' };
    workflows.set(workflow.name, first ? twice : workflow);
  }
  return [...workflows.values()];
}

function readWorkflow(node: Node, { file, problems }: Into): Workflow | null {
  const own: Problem[] = [];
  const fields = node.kind === 'map' ? fieldsOf(node, { file, problems: own }) : null;
  const name = fields?.text('name');
  if (!fields || !name || node.kind !== 'map') {
    const message = 'a workflow without a name is ignored';
    problems.push({ severity: 'warning', file, line: node.line, message });
    return null;
  }
  if (!isMetadataName(name)) fields.report('the name is not valid', node.line);
  const steps = (fields.list('steps')?.items ?? []).map((step, index) =>
    readStep(step, index, { file, problems: own }),
  );
  if (steps.length === 0) fields.report('has no steps', node.line);
  return {
    name,
    description: fields.text('description') || null,
    allow_failure: fields.flag('allow_failure') ?? false,
    prompt: readPrompt(node, fields, { file, problems: own }),
    steps: steps.filter((step) => step !== null),
    problem: own[0] ? `${file}:${own[0].line ?? node.line}: ${own[0].message}` : null,
  };
}

function readStep(node: Node, index: number, into: Into): WorkflowStep | null {
  const position = `step ${index + 1}`;
  const refuse = (message: string): null => {
    into.problems.push({ severity: 'error', file: into.file, line: node.line, message });
    return null;
  };
  if (node.kind !== 'map') return refuse(`${position} is not a mapping`);
  const fields = fieldsOf(node, { ...into, where: position });
  const block = fields.text('block');
  const action = fields.text('action');
  if (!block || !action) return refuse(`${position} must name a block and an action`);
  return {
    name: fields.text('name') || `step-${index + 1}`,
    block,
    action,
    prompt: readPrompt(node, fields, into),
  };
}
