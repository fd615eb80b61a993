import type { CallAnswer, SentCall } from '../runners/call.ts';
import { inShort, type Drift } from '../runs/drift.ts';
import { retriggerRun, type RetriggerMode } from '../runs/retrigger.ts';
import { startRun, type Start, type StartPorts } from '../runs/start.ts';
import { NO_TRAIL } from '../runs/trail.ts';
import { startWorkflow } from '../runs/workflow.ts';
import type { Telling } from '../runs/untold.ts';
import { AppError, messageOf, plainError } from '../shared/errors.ts';
import { textOf } from '../shared/json.ts';
import type { Log } from '../shared/ports.ts';
import { blockResource, workspaceResource } from './described.ts';
import { blockHere, getBlock } from './get-block.ts';
import { blocksHere, listBlocks } from './list-blocks.ts';
import { listWorkspaces, workspacesHere } from './list-workspaces.ts';
import { planAction, planHere } from './plan-action.ts';
import { retriggerActionRun } from './retrigger-action-run.ts';
import { runAction } from './run-action.ts';
import { runWorkflow } from './run-workflow.ts';
import { over, storeWithin } from './services-for.ts';
import type { Services } from './services.ts';
import { questionFor } from './tool.ts';

/** What a runner answers calls with; all else is its server's. */
export interface RunnerServices extends Pick<
  Services,
  'store' | 'git' | 'settings' | 'remote' | 'busyElsewhere' | 'redaction'
> {
  /** For one call: what it starts is recorded as that call's. */
  startFor(call: string): StartPorts;
  log: Log;
}

/** What a server asks of its runners; the last two are resources. */
const ANSWERS = {
  list_workspaces: (services, { input }) => workspacesHere(services, listWorkspaces.input.parse(input) as never),
  list_blocks: (services, { input }) => blocksHere(services, listBlocks.input.parse(input) as never),
  get_block: (services, { input }) => blockHere(services, getBlock.input.parse(input) as never),
  plan_action: (services, { input, caller }) => planHere(services, planAction.input.parse(input), { caller }),
  workspace_resource: ({ store }, { input }) => workspaceResource(store, textOf(input['workspace'])),
  block_resource: ({ store }, { input }) => blockResource(store, textOf(input['workspace']), textOf(input['block'])),
} satisfies Record<string, (services: ForCall, call: SentCall) => Promise<object>>; // prettier-ignore

type ForCall = Pick<Services, 'store' | 'git' | 'settings' | 'remote' | 'busyElsewhere' | 'scope' | 'start'>;

/** The caller is told of the run by its server. */
const TOLD_ELSEWHERE: Telling = { of: () => undefined, told: () => undefined, vanished: () => undefined };

/** Answers a call as a server with workspaces would, as far as it is not the server's to answer. Never rejects. */
export async function answerCall(services: RunnerServices, call: { id: string; sent: SentCall }): Promise<CallAnswer> {
  const { redaction, log } = services;
  try {
    return redaction.json(await answerOf(services, call));
  } catch (error) {
    if (error instanceof AppError) return { error: redaction.json(plainError(error)) };
    log('error', 'a call failed unexpectedly', { tool: call.sent.tool, error: messageOf(error) });
    return { error: { code: 'internal', message: 'something unexpected went wrong at the runner; its operator finds the cause on stderr' } };
  }
} // prettier-ignore

async function answerOf(services: RunnerServices, { id, sent }: { id: string; sent: SentCall }): Promise<CallAnswer> {
  const store = storeWithin(services.store, sent.scope);
  const start = over(services.startFor(id), { store });
  const { tool } = sent;
  if (Object.hasOwn(ANSWERS, tool)) {
    const own = over(services, { store });
    const forCall: ForCall = Object.assign(own, { scope: sent.scope, start });
    return { result: { ...(await ANSWERS[tool as keyof typeof ANSWERS](forCall, sent)) } };
  }
  const begun = await begin(start, sent);
  if (begun.outcome === 'approval_needed') return { ask: questionFor(tool, begun, services.redaction) };
  const { outcome, run, drift = [] } = begun;
  const age_ms = begun.outcome === 'replayed' ? begun.age_ms : 0;
  return { started: { outcome, run_id: run.id, age_ms, drift: inShort(drift) } };
} // prettier-ignore

/** As the schema of its tool has it. */
type Named<K extends string> = Record<'workspace' | K, string>;

type Begun = Start & { drift?: readonly Drift[] };

function begin(ports: StartPorts, { tool, input, caller, consent, desk }: SentCall): Promise<Begun> {
  const by = {
    caller,
    consent,
    desk,
    telling: TOLD_ELSEWHERE,
    entry: NO_TRAIL.begin({ tool, given: {}, caller }),
  };
  switch (tool) {
    case 'run_action':
      return startRun(ports, {
        ...(runAction.input.parse(input) as Named<'block' | 'action'>),
        ...by,
        trigger: 'mcp',
      });
    case 'run_workflow':
      return startWorkflow(ports, { ...(runWorkflow.input.parse(input) as Named<'workflow'>), ...by });
    case 'retrigger_action_run':
      return retriggerRun(ports, {
        ...(retriggerActionRun.input.parse(input) as unknown as { run_id: string; mode: RetriggerMode }),
        ...by,
      });
    default:
      throw new AppError('invalid_argument', `this version of the runner does not know ${tool}`);
  }
}
