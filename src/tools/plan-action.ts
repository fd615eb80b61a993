import { z } from 'zod';
import { AppError } from '../shared/errors.ts';
import { prepare, type Prepared } from '../runs/prepare.ts';
import { planRetrigger } from '../runs/retrigger.ts';
import type { Drift } from '../runs/drift.ts';
import * as field from './fields.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  workspace: field.workspaceName.optional(),
  block: field.blockName.optional(),
  action: field.actionName.optional(),
  retrigger_of: z.string().describe('Run id: plan running it again, with its drift').optional(),
  mode: z.enum(['pinned', 'current']).describe('For retrigger_of').optional(),
});

export const planAction = defineTool({
  name: 'plan_action',
  title: 'Plan an action without running it',
  description:
    'Shows what run_action would do: image, command, mounts, names of variables, inventory and hosts, warnings, and the rule that allows, asks or refuses. Pass the digest as plan_digest to run exactly this. Give workspace, block and action, or retrigger_of.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: z.object({ plan: z.looseObject({ digest: z.string(), warnings: z.array(z.string()) }) }),
  async run(services, input) {
    const { prepared, drift } = await resolve(services, input);
    return { plan: { ...present(prepared), drift: drift.map((entry) => ({ ...entry })) } };
  },
});

async function resolve(
  { start }: Services,
  { workspace, block, action, retrigger_of, mode }: z.output<typeof inputSchema>,
): Promise<{ prepared: Prepared; drift: Drift[] }> {
  if (retrigger_of !== undefined) {
    const { drift, ...prepared } = await planRetrigger(start, retrigger_of);
    if (mode !== 'current' && drift.length > 0) {
      const what = drift.map((entry) => entry.what).join(', ');
      prepared.decision = {
        decision: 'deny',
        rule: 'retrigger:drift',
        why: `${what} changed since run ${prepared.run.id}`,
        remedy: "mode: 'current' runs it as it is defined now",
      };
    }
    return { prepared, drift };
  }
  if (workspace === undefined || block === undefined || action === undefined) {
    throw new AppError('invalid_argument', 'plan_action needs workspace, block and action, or retrigger_of', {
      next: 'list_blocks shows workspaces, blocks and actions',
    });
  }
  return { prepared: await prepare(start, { workspace, block, action }), drift: [] };
}

function present({
  plan,
  decision,
  engine,
}: Prepared): { digest: string; warnings: string[] } & Record<string, unknown> {
  return {
    workspace: plan.workspace.name,
    organization: plan.workspace.organization,
    environment: plan.workspace.environment,
    block: plan.block.name,
    block_version: plan.block.version,
    action: plan.action.name,
    executor: plan.executor,
    image: plan.image,
    command: plan.command,
    ...(plan.action.kind === 'script' && { script: plan.action.script }),
    workdir: plan.workdir,
    mounts: plan.mounts,
    env_names: Object.keys(plan.env).sort(),
    inventory: plan.files.inventory?.relative ?? null,
    hosts: plan.files.hosts,
    prompt: plan.action.prompt,
    timeout_seconds: plan.timeout_ms === null ? null : plan.timeout_ms / 1000,
    warnings: [...plan.warnings, ...(engine ? [`cannot run now: ${engine.message}`] : [])],
    policy: decision,
    digest: plan.digest,
  };
}
