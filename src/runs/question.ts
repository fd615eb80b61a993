import type { Plan } from '../actions/plan.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import type { WorkflowPlan } from '../actions/workflow-plan.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { Decision } from '../actions/policy.ts';

const PROMPT_CHARACTERS = 1_000;
const MOST_HOSTS = 10;
const NO_INVENTORY = 'no inventory in the workspace';

/** What a human is asked, about what the server resolved and not about the model's words. */
export function questionOf(
  tool: string,
  { plan, decision }: { plan: Plan | WorkflowPlan | RemotePlan; decision: Decision },
  { text }: Pick<Redaction, 'text'>,
): string {
  const about =
    'steps' in plan
      ? aboutWorkflow(plan, text)
      : 'endpoint' in plan
        ? aboutRemote(plan, text)
        : aboutAction(tool, plan, text);
  const lines = [...about, `Plan: ${plan.digest.slice(0, 12)} (${decision.rule})`];
  // Names and prompts come from workspace files: none of them may add a line of its own to the question.
  return lines.map((line) => text(line.replace(/[\r\n]+/g, ' ')).trimEnd()).join('\n');
}

type Text = Redaction['text'];

function aboutAction(tool: string, plan: Plan, text: Text): string[] {
  const { workspace, block, action } = plan;
  return [
    tool === 'retrigger_action_run' ? 'Run this action again?' : 'Run this action?',
    '',
    `Workspace: ${nameOf(workspace)}`,
    `Block: ${block.name} ${block.version ?? ''}`,
    `Action: ${action.name} (${action.kind})`,
    `Hosts: ${hostsOf(plan)}`,
    placeOf(plan),
    ...asked('The action asks', action.prompt, text),
  ];
}

function aboutRemote(plan: RemotePlan, text: Text): string[] {
  const { organization, workspace: name, environment, block, action, endpoint, url, prompt } = plan;
  return [
    'Have this action run again by the Polycrate API?',
    '',
    `Workspace: ${nameOf({ organization, name, environment })}, which is not on this host`,
    `Block: ${block.name} ${block.version ?? ''}, as the API defines it today`,
    `Action: ${action}`,
    `By: the Polycrate API ${endpoint} (${url}); nothing here can stop it`,
    ...asked('The action asks', prompt, text),
  ];
}

/** One question for all steps: each of them, and whatever any of them asks. */
function aboutWorkflow({ workspace, workflow, steps }: WorkflowPlan, text: Text): string[] {
  const hosts = new Set(steps.map(({ plan }) => hostsOf(plan)));
  const places = new Set(steps.map(({ plan }) => placeOf(plan)));
  return [
    'Run this workflow?',
    '',
    `Workspace: ${nameOf(workspace)}`,
    `Workflow: ${workflow.name} (${workflow.allow_failure ? 'goes on after failures' : 'stops at the first failure'})`,
    ...asked('The workflow asks', workflow.prompt, text),
    ...steps.flatMap(({ name, prompt, plan }, index) => [
      `${index + 1}. ${name}: ${plan.block.name} ${plan.block.version ?? ''}, action ${plan.action.name}`,
      ...asked(`${index + 1}. The step asks`, prompt, text),
      ...asked(`${index + 1}. The action asks`, plan.action.prompt, text),
    ]),
    `Hosts: ${[...hosts].join('; ')}`,
    ...places,
  ];
}

function nameOf({
  organization,
  name,
  environment,
}: Pick<Workspace, 'organization' | 'name'> & { environment: { value: string } | null }): string {
  return `${organization ?? '-'}/${name}${environment ? ` (${environment.value})` : ''}`;
}

function placeOf({ executor, cli, image }: Plan): string {
  if (executor === 'cli') return `By the Polycrate CLI ${cli?.version ?? ''}, in the image that it chooses`;
  if (image?.build) {
    const bases = image.build.bases.map(({ reference }) => reference).join(', ');
    return `Image: built from ${image.build.dockerfile} (FROM ${bases || 'scratch'})`;
  }
  return image ? `Image: ${image.reference}` : 'On this host, without a container';
}

function asked(who: string, prompt: string | null, text: Text): string[] {
  return prompt === null ? [] : [`${who}: ${text(prompt).slice(0, PROMPT_CHARACTERS)}`];
}

function hostsOf({ reach }: Plan): string {
  const { hosts, note } = reach;
  if (hosts === null) return `not known before it runs: ${note ?? NO_INVENTORY}`;
  if (hosts.length === 0) return `none: ${note ?? NO_INVENTORY}`;
  const more = hosts.length - MOST_HOSTS;
  return hosts.slice(0, MOST_HOSTS).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
