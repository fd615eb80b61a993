import { z } from 'zod';
import type { Asker } from '../actions/policy-rules.ts';
import type { Caller } from '../runs/start.ts';
import { AppError } from '../shared/errors.ts';
import { describeActive } from '../platform/reporting.ts';
import { prepare, type Prepared } from '../runs/prepare.ts';
import { prepareWorkflow, type WorkflowTarget } from '../runs/workflow.ts';
import { remoteCandidate, withRetrigger } from '../runs/retrigger.ts';
import { prepareRemote } from '../runs/remote.ts';
import { inSmallEntries, notCompared, type Drift } from '../runs/drift.ts';
import * as field from './fields.ts';
import { actionPlan, planPortion, remotePlan, workflowPlan, type PresentedPlan } from './present-plan.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  workspace: field.workspaceName.optional(),
  block: field.blockName.optional(),
  action: field.actionName.optional(),
  workflow: field.workflowName.optional(),
  retrigger_of: z.string().describe('Run id: plan running it again, with its drift').optional(),
  mode: z.enum(['pinned', 'current', 'remote']).describe('For retrigger_of').optional(),
  cursor: field.sameCursor,
});

const outputSchema = z.object({
  plan: z.looseObject({ digest: z.string(), warnings: z.array(z.string()) }),
});

export type Input = z.output<typeof inputSchema>;

export const planAction = defineTool({
  name: 'plan_action',
  title: 'Plan an action without running it',
  description:
    'Shows what run_action would do: image, command, mounts, variable names, inventory and hosts, warnings, and the rule that allows, asks or refuses. Pass the digest as plan_digest to run exactly this. Give workspace, block and action, or workspace and workflow, or retrigger_of.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: outputSchema,
  run: planHere,
});

export async function planHere(
  services: Pick<Services, 'start' | 'busyElsewhere'>,
  { cursor, ...input }: Input,
  { caller }: { caller: Caller },
): Promise<z.input<typeof outputSchema>> {
  const plan = await planOf(services, input, caller);
  return planPortion(plan, { cursor, question: input });
}

async function planOf(services: Pick<Services, 'start' | 'busyElsewhere'>, input: Input, caller: Caller): Promise<PresentedPlan> {
  if (input.workflow !== undefined) {
    const asker: Asker = { ...caller, trigger: 'workflow' };
    return workflowPlan(await prepareWorkflow(services.start, { ...workflowTarget(input), asker }));
  }
  if (input.mode === 'remote' && input.retrigger_of !== undefined) {
    const { start } = services;
    const run = await remoteCandidate(start, input.retrigger_of);
    return remotePlan(await prepareRemote(start, run, { ...caller, trigger: 'retrigger' }));
  }
  const { prepared, drift } = await resolve(services, input, caller);
  const plan = actionPlan(prepared);
  const { workspace, block } = prepared.plan;
  const busy = await services.busyElsewhere({
    organization: workspace.organization,
    workspace: workspace.name,
    block: block.name,
  });
  if (busy) plan.warnings.push(describeActive(busy));
  return { ...plan, drift: inSmallEntries(drift) };
} // prettier-ignore

function workflowTarget({ workspace, workflow, block, action, retrigger_of }: Input): WorkflowTarget {
  if (workspace === undefined || workflow === undefined || (block ?? action ?? retrigger_of) !== undefined) {
    throw new AppError('invalid_argument', 'plan_action takes workflow together with workspace and nothing else', {
      next: 'list_workspaces shows workspaces and their workflows',
    });
  }
  return { workspace, workflow };
} // prettier-ignore

async function resolve(
  { start }: Pick<Services, 'start'>,
  { workspace, block, action, retrigger_of, mode }: Input,
  caller: Caller,
): Promise<{ prepared: Prepared; drift: Drift[] }> {
  if (retrigger_of !== undefined) {
    const asked = {
      run_id: retrigger_of,
      mode: mode ?? 'pinned',
      asker: { ...caller, trigger: 'retrigger' },
    } as const;
    return withRetrigger(start, asked, async ({ drift, run, ...planned }) => {
      const unknown = notCompared(run);
      const warnings = unknown === null ? planned.plan.warnings : [...planned.plan.warnings, unknown];
      const prepared = { ...planned, plan: { ...planned.plan, warnings } };
      if (asked.mode === 'current' || drift.length === 0) return { prepared, drift };
      const decision = {
        decision: 'deny',
        rule: 'retrigger:drift',
        why: `${drift.map((entry) => entry.what).join(', ')} changed since run ${run.id}`,
        remedy: "mode: 'current' runs it as it is defined now",
      } as const;
      return { prepared: { ...prepared, decision }, drift };
    });
  }
  if (workspace === undefined || block === undefined || action === undefined) {
    throw new AppError(
      'invalid_argument',
      'plan_action needs workspace, block and action, or workspace and workflow, or retrigger_of',
      {
        next: 'list_blocks shows workspaces, blocks and actions',
      },
    );
  }
  return {
    prepared: await prepare(start, { workspace, block, action, asker: { ...caller, trigger: 'mcp' } }),
    drift: [],
  };
}
