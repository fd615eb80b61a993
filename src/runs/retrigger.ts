import { join } from 'node:path/posix';
import type { Plan } from '../actions/plan.ts';
import type { Asker } from '../actions/policy-rules.ts';
import { findWorkspace } from '../workspaces/find.ts';
import { addressOf } from '../workspaces/workspace.ts';
import { AppError } from '../shared/errors.ts';
import type { ActionRun } from './action-run.ts';
import { driftBetween, inShort, type Drift } from './drift.ts';
import { copyOf } from './private-copy.ts';
import { prepare, type PreparePorts, type Prepared, type Target } from './prepare.ts';
import { REMOTE_SWITCH, startRemote, type RemoteRequest } from './remote.ts';
import { startRun, type Start, type StartPorts } from './start.ts';
import { findRun } from './wait.ts';

/** `remote`: the Polycrate API executes it, where the workspace is not here. */
export type RetriggerMode = 'pinned' | 'current' | 'remote';

export interface RetriggerRequest extends RemoteRequest {
  run_id: string;
  mode: RetriggerMode;
}

/** What a past run would be today, and what differs from then. */
export interface PlannedRetrigger extends Prepared {
  run: ActionRun;
  drift: Drift[];
  target: Target;
}

type RetriggerPorts = PreparePorts & Pick<StartPorts, 'supervision' | 'remote'>;

/** Plans a past run again and hands the plan over: as things are now, or for `pinned` from its own commit if they differ. */
export async function withRetrigger<T>(
  ports: RetriggerPorts,
  { run_id, mode, asker }: Pick<RetriggerRequest, 'run_id' | 'mode'> & { asker: Asker },
  use: (planned: PlannedRetrigger) => Promise<T>,
): Promise<T> {
  const run = await findRun(ports.supervision.ledger, run_id);
  const target = { ...targetOf(run), asker };
  await refuseElsewhere(ports, run, target);
  const planned = await planToday(ports, run, target);
  const asItIs = (): Promise<T> => {
    if (planned instanceof AppError) throw planned;
    return use(planned);
  };
  const differs = planned instanceof AppError || planned.drift.length > 0;
  if (mode !== 'pinned' || !differs || !run.pins || run.workspace_commit === null || !isClean(run)) {
    return asItIs();
  }
  const commit = run.workspace_commit;
  const { path } = findWorkspace(await ports.store.list(), target.workspace);
  const done = await ports.git.checkedOut(path, commit, async (view) => {
    const then = { ...target, from: { commit, view } };
    const prepared = await prepare(ports, then).catch(() => null);
    // What the checkout cannot restore (an image, secrets) is told as the drift from today.
    if (!prepared || driftBetween(run, prepared.plan).length > 0) return null;
    if (!(await hasPlaces(ports, prepared.plan))) return null;
    return { value: await use({ ...prepared, run, target: then, drift: [] }) };
  });
  return done ? done.value : asItIs();
} // prettier-ignore

/** A run of others may be of a workspace that is not here. */
async function refuseElsewhere(ports: RetriggerPorts, run: ActionRun, { workspace }: Target): Promise<void> {
  if (!isOfOthers(run) || (await isHere(ports, workspace))) return;
  const here = 'put the workspace into a folder of POLYCRATE_MCP_WORKSPACES and repeat the call';
  throw new AppError(
    'unknown_name',
    `run ${run.id} is of workspace ${workspace}, which is not on this host`,
    {
      next: `${here}; or ${remoteWay(ports, run)}`,
      details: {
        organization: run.organization,
        workspace: run.workspace,
        source: run.source,
        url: run.api?.url ?? null,
      },
    },
  );
}

function remoteWay({ remote }: RetriggerPorts, { api }: ActionRun): string {
  const there = api?.url ? `run it where it ran: ${api.url}` : 'run it where it ran';
  if (!api?.endpoint) return there;
  return remote.on
    ? `mode: 'remote', which asks the Polycrate API ${api.endpoint} to execute it (plan_action with that mode shows what that is)`
    : `${there}; or the operator sets ${REMOTE_SWITCH}=true, and the Polycrate API ${api.endpoint} can be asked to execute it (mode: 'remote')`;
}

/** What others ran may have had changes that are in no commit; its version and configuration have to fit all the same. */
function isClean(run: ActionRun): boolean {
  return run.workspace_dirty === false || (isOfOthers(run) && run.workspace_dirty === null);
}

/** Also of ours, if the API executed it: its workspace need not be here either. */
function isOfOthers({ source, executor }: ActionRun): boolean {
  return source !== 'ledger' || executor?.kind === 'remote';
}

async function isHere({ store }: Pick<PreparePorts, 'store'>, workspace: string): Promise<boolean> {
  return (await store.list()).some((one) => addressOf(one) === workspace);
}

/** The run that the API is to be asked to repeat. Refused where this host can do it. */
export async function remoteCandidate(ports: RetriggerPorts, run_id: string): Promise<ActionRun> {
  const run = await findRun(ports.supervision.ledger, run_id);
  const { workspace } = targetOf(run);
  if (!(await isHere(ports, workspace))) return run;
  throw new AppError('refused', `workspace ${workspace} is on this host, so run ${run.id} is repeated here`, {
    next: "mode: 'pinned' or 'current'",
  });
}

/** An error instead of a plan: what was run is not there any more, or cannot be run as it is. */
async function planToday(ports: PreparePorts, run: ActionRun, target: Target): Promise<PlannedRetrigger | AppError> {
  try {
    const prepared = await prepare(ports, target);
    return { ...prepared, run, target, drift: driftBetween(run, prepared.plan) };
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
} // prettier-ignore

/** Copies are mounted over the workspace: what is not there any more would be made in the user's tree. */
async function hasPlaces(ports: PreparePorts, plan: Plan): Promise<boolean> {
  const { workspace, dirs, files } = copyOf(plan, ports.settings.copy);
  const paths = [...dirs, ...files.map(({ relative }) => relative)];
  const real = await Promise.all(paths.map((path) => ports.realPath(join(workspace, path))));
  return plan.executor !== 'docker' || real.every((path) => path !== null);
}

/** A new run that names the old one. `pinned` refuses when it cannot be repeated as it was. */
export async function retriggerRun(
  ports: StartPorts,
  request: RetriggerRequest,
): Promise<Start & { drift: Drift[] }> {
  if (request.mode === 'remote') {
    return startRemote(ports, await remoteCandidate(ports, request.run_id), request);
  }
  const { mode } = request;
  const asker: Asker = { ...request.caller, trigger: 'retrigger' };
  return withRetrigger(ports, { ...request, asker }, async ({ run, drift, target }) => {
    if (request.mode === 'pinned' && drift.length > 0) throw drifted(run, drift);
    const { reason, idempotency_key, plan_digest, timeout_seconds, caller, consent, desk, telling, entry } =
      request;
    const start = await startRun(ports, {
      ...target,
      ...{ reason, idempotency_key, plan_digest, timeout_seconds, caller, consent, desk, telling, entry },
      trigger: 'retrigger',
      retrigger_of: run.id,
      again: { mode, drift },
    });
    return { ...start, drift };
  });
}

function drifted(run: ActionRun, drift: Drift[]): AppError {
  const what = drift.map((entry) => entry.what).join(', ');
  const commit =
    run.workspace_commit === null
      ? ''
      : isClean(run)
        ? ', and its commit does not have it either'
        : ', and it did not run from a clean commit';
  return new AppError(
    'plan_changed',
    `run ${run.id} cannot be repeated as it was: ${what} changed${commit}`,
    {
      next: "mode: 'current' runs it as it is defined now",
      details: { drift: inShort(drift) },
    },
  );
}

function targetOf(run: ActionRun): Omit<Target, 'asker'> {
  if (run.kind !== 'action' || run.block === null || run.action === null) {
    throw new AppError('refused', `run ${run.id} is a ${run.kind}, not the run of one action`, {
      next: 'run_workflow runs it again; or re-trigger one of its steps, which get_action_run names',
    });
  }
  return {
    workspace: addressOf({ organization: run.organization, name: run.workspace }),
    block: run.block,
    action: run.action,
  };
}
