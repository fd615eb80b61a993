import type { Plan } from '../actions/plan.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun } from './action-run.ts';
import type { StartPorts } from './start.ts';

// What is recorded of a run before anything happens.

interface FactParts {
  run_id: string;
  now: number;
  plan: Plan;
}

export function factsOf(ports: StartPorts, parts: FactParts): JsonObject {
  return { ...emptyFacts(parts), ...ofPlan(ports, parts.plan) };
}

/** What is of the plan. */
export function ofPlan(ports: StartPorts, plan: Plan): JsonObject {
  const { block, action, image, cli, digest, pins } = plan;
  return {
    block: block.name,
    block_version: block.version,
    app_version: block.app_version,
    block_from: block.from,
    action: action.name,
    executor: executorOf(ports, image),
    cli_version: cli?.version ?? null,
    plan_digest: digest,
    pins: { ...pins },
  };
}

/** Of a runner its name; it is all that is known of a workflow, which executes nothing itself. */
export function executorOf({ executor: { kind }, runner }: StartPorts, image: Plan['image']): JsonObject {
  return {
    ...{ kind, runner },
    image: image?.reference ?? null,
    image_digest: image?.digest ?? null,
    container: null,
  };
}

interface EmptyParts extends Omit<FactParts, 'plan'> {
  plan: {
    workspace: Pick<Plan['workspace'], 'organization' | 'name'> & Pick<ActionRun, 'environment'>;
    git: Plan['git'];
    executor: Plan['executor'] | 'remote';
  };
}

/** Of a run in that workspace of which nothing else is known yet. */
export function emptyFacts({ run_id, now, plan: { workspace, git, executor } }: EmptyParts): JsonObject {
  return {
    id: run_id,
    aliases: [],
    kind: 'action',
    organization: workspace.organization,
    workspace: workspace.name,
    environment: workspace.environment && { ...workspace.environment },
    workspace_commit: git?.commit ?? null,
    workspace_dirty: git?.dirty ?? null,
    block: null,
    block_version: null,
    app_version: null,
    block_from: null,
    action: null,
    workflow: null,
    step: null,
    parent: null,
    status: 'pending',
    status_reason: null,
    exit_code: null,
    requested_at: now,
    approved_at: null,
    launched: false,
    started_at: null,
    finished_at: null,
    duration_ms: null,
    cli_version: null,
    trigger: 'mcp',
    retrigger_of: null,
    cancelled_by: null,
    cancel_reason: null,
    policy_digest: null,
    executor: null,
    plan_digest: null,
    pins: null,
    log: null,
    api: null,
    source: 'ledger',
    evidence: {
      authenticated: ['principal', 'os_user', 'hostname'],
      claimed: ['client', 'reason'],
      ...(executor === 'cli' && { cli: { exit_code: 'flattened', streams: 'merged' } }),
    },
  };
}
