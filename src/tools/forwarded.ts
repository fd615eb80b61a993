import { samenessOf, type Answered, type RunnerQuestion } from '../runners/dispatch.ts';
import type { Chosen } from '../runners/choose.ts';
import { findRun } from '../runs/wait.ts';
import { AppError } from '../shared/errors.ts';
import { describeActive } from '../platform/reporting.ts';
import { isObject, textOf, type JsonObject } from '../shared/json.ts';
import { addressOf } from '../workspaces/workspace.ts';
import * as field from './fields.ts';
import { gatheredBlocks, gatheredWorkspaces } from './gather.ts';
import { getBlock } from './get-block.ts';
import { listBlocks } from './list-blocks.ts';
import { listWorkspaces } from './list-workspaces.ts';
import { planAction } from './plan-action.ts';
import { retriggerActionRun } from './retrigger-action-run.ts';
import { runAction } from './run-action.ts';
import { outcomeOf } from './run-outcome.ts';
import { runWorkflow } from './run-workflow.ts';
import type { Services } from './services.ts';
import type { ApprovalNeeded, Tool, ToolCall } from './tool.ts';

/** The tools of a server that has neither workspaces nor engine: what needs them is asked of its runners. */
export function withRunners(tools: readonly Tool[]): Tool[] {
  return tools.map((tool) => FORWARDED.get(tool.name)?.(tool) ?? tool);
}

type Input = Record<string, unknown>;
type Run = (services: Services, input: Input, call: ToolCall) => Promise<object>;

const FORWARDED = new Map<string, (tool: Tool) => Tool>([
  [listWorkspaces.name, (tool) => ({ ...tool, run: gatheredWorkspaces })],
  [listBlocks.name, (tool) => ({ ...tool, run: gatheredBlocks })],
  [getBlock.name, (tool) => ({ ...tool, run: asked(tool, { any: true }) })],
  [planAction.name, (tool) => named(tool, planned)],
  [runAction.name, (tool) => named(tool, launched)],
  [runWorkflow.name, (tool) => named(tool, launched)],
  [retriggerActionRun.name, (tool) => named(tool, launched)],
]);

/** With one argument more: which runner. */
function named(tool: Tool, work: (tool: Tool) => Run): Tool {
  // Described once: a list of tools is read again and again.
  const runner = tool.name === planAction.name ? field.describedRunner : field.runnerName;
  return { ...tool, input: tool.input.extend({ runner }), run: work(tool) };
}

function runnersOf({ runners }: Services): NonNullable<Services['runners']> {
  if (runners) return runners;
  throw new AppError('internal', 'this server has no runners');
}

/** The runner that has the workspace which the call is about. What is run again runs where it ran, if nobody says otherwise. */
async function chosenFor(services: Services, input: Input, { any = false } = {}): Promise<Chosen> {
  const runners = runnersOf(services);
  const named = input['runner'] as string | undefined;
  const past = (input['run_id'] ?? input['retrigger_of']) as string | undefined;
  if (past === undefined) {
    const { workspace } = input as { workspace?: string };
    if (workspace === undefined) throw lacksWorkspace();
    return await runners.choose({ workspace, runner: named, any }, services.scope);
  }
  const { organization, workspace: name, executor } = await findRun(services.ledger, past);
  const workspace = addressOf({ organization, name });
  const before = executor?.kind === 'remote' ? null : (executor?.runner ?? null);
  if (named === undefined && before !== null) {
    const again = await runners.choose({ workspace, runner: before }, services.scope).catch(() => null);
    if (again) return again;
  }
  return await runners.choose({ workspace, runner: named }, services.scope);
}

function lacksWorkspace(): AppError {
  return new AppError('invalid_argument', 'the call does not say which workspace it is about', {
    next: 'list_workspaces shows workspaces and the runners that have them',
  });
}

function questionOf({ scope }: Services, tool: Tool, input: Input, { caller, consent, desk, entry }: ToolCall): RunnerQuestion {
  const { runner: _, wait_seconds: __, ...asked } = input;
  return { tool: tool.name, input: asked as JsonObject, caller, scope, consent, desk, entry };
} // prettier-ignore

/** `any`: of several runners that have it the first one will do. */
function asked(tool: Tool, which: { any?: boolean } = {}): Run {
  return async (services, input, call) => {
    const chosen = await chosenFor(services, input, which);
    return resultOf(await runnersOf(services).ask(chosen, questionOf(services, tool, input, call)));
  };
}

/** What a Polycrate API would execute is planned here. */
function planned(tool: Tool): Run {
  const forward = asked(tool);
  return async (services, input, call) => {
    if (input['mode'] === 'remote') return await tool.run(services, withoutRunner(input) as never, call);
    const answer = await forward(services, input, call);
    await warnOfActive(services, answer);
    return answer;
  };
}

/** An open run at the Polycrate API that nobody here knows of. */
async function warnOfActive({ busyElsewhere }: Services, { plan }: { plan?: unknown }): Promise<void> {
  if (!isObject(plan) || !Array.isArray(plan['warnings']) || typeof plan['block'] !== 'string') return;
  const { organization, workspace, block } = plan;
  const target = { organization: textOf(organization) || null, workspace: textOf(workspace), block: textOf(block) };
  const busy = await busyElsewhere(target);
  if (busy) plan['warnings'].push(describeActive(busy));
} // prettier-ignore

function launched(tool: Tool): Run {
  return async (services, input, call) => {
    if (input['mode'] === 'remote') return await tool.run(services, withoutRunner(input) as never, call);
    const question = questionOf(services, tool, input, call);
    const wait_seconds = input['wait_seconds'] as number;
    const hasKey = input['idempotency_key'] !== undefined;
    const earlier = hasKey ? null : await services.tellings.claim(samenessOf(question));
    const start = earlier ?? (await startedBy(services, await chosenFor(services, input), question));
    if ('ask' in start) return start;
    if (!hasKey) call.telling.of({ run_id: start.run.id, at: start.run.requested_at });
    const outcome = await outcomeOf(services, start, { call, wait_seconds });
    return {
      ...outcome,
      ...(tool.name === runWorkflow.name && { steps: outcome.steps ?? [] }),
      ...(tool.name === retriggerActionRun.name && { drift: 'drift' in start ? start.drift : [] }),
    };
  };
}

type Started = Parameters<typeof outcomeOf>[1] & { drift?: Record<string, unknown>[] };

async function startedBy(services: Services, chosen: Chosen, question: RunnerQuestion): Promise<Started | ApprovalNeeded> {
  const answer = await runnersOf(services).ask(chosen, question);
  if ('ask' in answer) return answer;
  if (!('started' in answer)) throw odd();
  const { outcome, run_id, age_ms, drift } = answer.started;
  return { outcome, run: await findRun(services.ledger, run_id), age_ms, drift };
} // prettier-ignore

function resultOf(answer: Answered): object {
  if ('result' in answer) return answer.result;
  throw odd();
}

function odd(): AppError {
  return new AppError('internal', 'the runner answered something else than was asked for');
}

function withoutRunner({ runner: _, ...input }: Input): Input {
  return input;
}
