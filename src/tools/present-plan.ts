import type { Reach } from '../actions/reach.ts';
import type { StepPlan } from '../actions/workflow-plan.ts';
import { inSmallEntries } from '../runs/drift.ts';
import type { Prepared } from '../runs/prepare.ts';
import type { PreparedRemote } from '../runs/remote.ts';
import type { PreparedWorkflow } from '../runs/workflow.ts';
import { beginningOf, clipped, portionOf, restOf } from './portion.ts';

export interface PresentedPlan extends Record<string, unknown> {
  digest: string;
  warnings: string[];
}

function presentReach({ hosts, note }: Reach): Record<string, unknown> {
  return { hosts, ...(note !== null && { hosts_note: note }) };
}

const CHOSEN_BY_CLI = { reference: null, digest: null, chosen_by: 'the CLI' };

export function actionPlan({ plan, decision, engine }: Prepared): PresentedPlan {
  return {
    workspace: plan.workspace.name,
    organization: plan.workspace.organization,
    environment: plan.workspace.environment,
    git: plan.git,
    ...(plan.view !== null && {
      taken_from: {
        commit: plan.git?.commit,
        of_the_commit: ['definitions', 'blocks', 'inventory, if the commit has it'],
        of_today: ['secrets', 'artifacts', 'image', 'everything else in the workspace'],
      },
    }),
    block: plan.block.name,
    block_version: plan.block.version,
    action: plan.action.name,
    executor: plan.executor,
    ...(plan.cli && { cli_version: plan.cli.version }),
    image: plan.executor === 'cli' ? CHOSEN_BY_CLI : plan.image,
    command: plan.command,
    ...(plan.action.kind === 'script' && { script: plan.action.script }),
    workdir: plan.workdir,
    mounts: plan.mounts,
    env_names: Object.keys(plan.env).sort(),
    inventory: plan.files.inventory?.relative ?? null,
    ...presentReach(plan.reach),
    prompt: plan.action.prompt,
    // For a run that is approved or asked for by this digest.
    read_only: [...plan.block.dirs],
    timeout_seconds: plan.timeout_ms === null ? null : plan.timeout_ms / 1000,
    warnings: [...plan.warnings, ...(engine ? [`cannot run now: ${engine.message}`] : [])],
    policy: decision,
    digest: plan.digest,
  };
}

export function remotePlan({ plan, decision, drift }: PreparedRemote): PresentedPlan {
  const { block, warnings, digest, ...what } = plan;
  return {
    ...what,
    block: block.name,
    block_version: block.version,
    managed_by: block.managed_by,
    warnings: [...warnings],
    policy: decision,
    drift: inSmallEntries(drift),
    digest,
  };
}

/** The steps in order, each with what its own plan would show beyond what all of them have in common. */
export function workflowPlan({ plan, decision, engine }: PreparedWorkflow): PresentedPlan {
  const { workspace, workflow, steps } = plan;
  return {
    workspace: workspace.name,
    organization: workspace.organization,
    environment: workspace.environment,
    git: steps[0]?.plan.git ?? null,
    workflow: workflow.name,
    allow_failure: workflow.allow_failure,
    prompt: workflow.prompt,
    steps: steps.map(stepPlan),
    warnings: [
      ...new Set(steps.flatMap((step) => step.plan.warnings)),
      ...(engine ? [`cannot run now: ${engine.message}`] : []),
    ],
    policy: decision,
    digest: plan.digest,
  };
}

/** Of the hosts of one step, and of its script. */
const STEP_CHARACTERS = 1_000;

function stepPlan({ name, prompt, plan, decision }: StepPlan): Record<string, unknown> {
  return {
    name,
    block: plan.block.name,
    block_version: plan.block.version,
    action: plan.action.name,
    image: plan.image?.reference ?? null,
    command: plan.command,
    ...(plan.action.kind === 'script' && beginningOf({ script: plan.action.script }, STEP_CHARACTERS)),
    inventory: plan.files.inventory?.relative ?? null,
    ...presentReach(plan.reach),
    ...(plan.reach.hosts && beginningOf({ hosts: plan.reach.hosts }, STEP_CHARACTERS)),
    prompts: [prompt, plan.action.prompt].filter((text) => text !== null),
    read_only: [...plan.block.dirs],
    policy: decision,
    digest: plan.digest,
  };
}

/** The lists that may be long. */
const LISTS = [
  'drift',
  'warnings',
  'steps',
  'hosts',
  'script',
  'mounts',
  'env_names',
  'prompts',
  'read_only',
] as const;

interface PlanPage {
  cursor: string | undefined;
  /** What was asked, without the cursor. */
  question: unknown;
}

/** As much of a plan as an answer has room for; the cursor leads to the rest of this very plan. */
export function planPortion(plan: PresentedPlan, { cursor, question }: PlanPage): { plan: PresentedPlan } & Record<string, unknown> {
  const isLong = ([name, value]: [string, unknown]): boolean => Array.isArray(value) && LISTS.some((list) => list === name);
  const beside = clipped(Object.fromEntries(Object.entries(plan).filter((entry) => !isLong(entry)))) as PresentedPlan;
  const named = LISTS.flatMap((name) => (Array.isArray(plan[name]) ? [[name, plan[name] as unknown[]]] : []));
  const lists = Object.fromEntries(named) as Record<string, unknown[]>;
  const portion = portionOf(lists, { cursor, question: ['plan_action', question, plan.digest], beside });
  const { warnings = [], ...shown } = portion.shown as { warnings?: string[] };
  return { plan: { ...beside, ...shown, warnings }, ...restOf(portion) };
} // prettier-ignore
