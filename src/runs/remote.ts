import { decideRemote, type RemotePlan } from '../actions/remote-plan.ts';
import type { Asker } from '../actions/policy-rules.ts';
import type { Decision } from '../actions/policy.ts';
import { AppError } from '../shared/errors.ts';
import type { ActionRun } from './action-run.ts';
import type { Drift } from './drift.ts';
import { admit } from './admit.ts';
import { askApproval } from './ask-approval.ts';
import { remoteIntentOf } from './intent.ts';
import { circumstancesOf, type PreparePorts } from './prepare.ts';
import { earlierStart, samenessOf, settled, storeIntent, told } from './request.ts';
import type { Start, StartPorts, StartRequest } from './start.ts';

// What a Polycrate API executes itself: it is asked to, and followed to its end. For runs whose workspace is not here.

/** Runs at a Polycrate API; `platform/` answers it. */
export interface RemoteRuns {
  /** The operator has switched it on (POLYCRATE_MCP_REMOTE_RETRIGGER). */
  readonly on: boolean;
  /** What it would execute today in place of a past run. Reads only; throws `unknown_name` and errors of the API. */
  plan(run: ActionRun): Promise<RemotePlan>;
  /** Whether it can be asked from here at all. */
  knows(endpoint: string): Promise<boolean>;
  /** Rejects with `already_active` beside a run or a queued item of the block there. */
  refuseBeside(plan: RemotePlan): Promise<void>;
}

export const REMOTE_SWITCH = 'POLYCRATE_MCP_REMOTE_RETRIGGER';

export interface PreparedRemote {
  plan: RemotePlan;
  decision: Decision;
  drift: Drift[];
}

type RemotePorts = Pick<PreparePorts, 'policy' | 'clock' | 'settings'> & { remote: RemoteRuns };

/** Plans and decides; starts nothing. */
export async function prepareRemote(ports: RemotePorts, run: ActionRun, asker: Asker): Promise<PreparedRemote> {
  if (!ports.remote.on) {
    throw new AppError('refused', 'this server asks no Polycrate API to execute anything', {
      next: `the operator can set ${REMOTE_SWITCH}=true`,
    });
  }
  const plan = await ports.remote.plan(run);
  const decision = decideRemote(plan, ports.settings.limits, await circumstancesOf(ports, asker));
  return { plan, decision, drift: driftOf(run, plan) };
} // prettier-ignore

/** The API executes its own definition of today; of that the version is all that can be compared. */
function driftOf({ block_version: recorded }: ActionRun, { block: { version: now } }: RemotePlan): Drift[] {
  return recorded === now || recorded === null ? [] : [{ what: 'block_version', recorded, now }];
}

export type RemoteRequest = Pick<
  StartRequest,
  | 'reason'
  | 'idempotency_key'
  | 'plan_digest'
  | 'timeout_seconds'
  | 'caller'
  | 'consent'
  | 'desk'
  | 'telling'
  | 'entry'
>;

/** Records a run of our own that the API is then asked to execute. From there on it belongs to its supervisor. */
export async function startRemote(
  ports: StartPorts,
  run: ActionRun,
  asked: RemoteRequest,
): Promise<Start & { drift: Drift[] }> {
  if (asked.timeout_seconds !== undefined) {
    throw new AppError('invalid_argument', 'what a Polycrate API executes cannot be stopped from here, so it takes no timeout_seconds', {
      next: 'repeat the call without it',
      details: { argument: 'timeout_seconds' },
    });
  }
  const { plan, decision, drift } = await prepareRemote(ports, run, { ...asked.caller, trigger: 'retrigger' });
  const reason = asked.reason === undefined ? asked.reason : ports.redaction.text(asked.reason);
  const request = { ...asked, reason };
  const { plan_digest } = request;
  const sameness = samenessOf(ports, request, {
    workspace: { organization: plan.organization, name: plan.workspace },
    arguments: { remote: plan.endpoint, retrigger_of: run.id, reason, plan_digest },
  });
  const earlier = await earlierStart(ports, request, sameness);
  if (earlier) return { ...earlier, drift };
  const terms = await admit(ports, request, { digest: plan.digest, decision });
  const byClient = decision.decision === 'approve' && !terms;
  if (byClient && request.consent?.plan_digest !== plan.digest) {
    return { outcome: 'approval_needed', plan, decision, drift };
  }
  if (!terms) await ports.remote.refuseBeside(plan);
  const consent = byClient ? request.consent : null;
  const waits = terms !== null;
  const intent = remoteIntentOf(ports, { request, run, plan, decision, sameness, consent, waits });
  const stored = await storeIntent(ports, request, intent);
  if (stored.outcome !== 'stored') return { ...settled(stored), drift };
  if (terms) {
    const guard = { run_id: stored.run.id, fence: stored.fence };
    const waiting = await askApproval(ports, guard, { plan, decision, terms, alone: true, drift });
    ports.approvals.watch();
    return { ...told(request, sameness, { outcome: 'started', run: waiting }), drift };
  }
  const started = told(request, sameness, { outcome: 'started', run: stored.run });
  void ports.supervisor.follow({ run_id: stored.run.id, fence: stored.fence });
  return { ...started, drift };
} // prettier-ignore
