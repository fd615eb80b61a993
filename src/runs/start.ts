import type { Decision } from '../actions/policy.ts';
import type { Plan } from '../actions/plan.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import type { WorkflowPlan } from '../actions/workflow-plan.ts';
import { messageOf } from '../shared/errors.ts';
import type { HostFacts, Ids } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Principal, Role } from '../access/identity.ts';
import type { ActionRun, RunTrigger } from './action-run.ts';
import { storeEnd } from './finish.ts';
import { admit } from './admit.ts';
import { askApproval } from './ask-approval.ts';
import type { ApprovalWatch } from './conduct-approvals.ts';
import type { Drift } from './drift.ts';
import { intentOf, isAlone } from './intent.ts';
import type { Outage } from './outage.ts';
import { copyFolder } from './private-copy.ts';
import { packetOf, prepare, redactionsOf, type PreparePorts, type Target } from './prepare.ts';
import { earlierStart, reportedTo, samenessOf, settled, storeIntent, told } from './request.ts';
import type { Requesters } from './requesters.ts';
import type { LeaseGuard } from './run-ledger.ts';
import type { Detacher, SupervisionPorts } from './supervision.ts';
import type { CallEntry } from './trail.ts';
import type { Supervisor } from './supervisor.ts';
import type { RemoteRuns } from './remote.ts';
import type { Reporting } from './reporting.ts';
import type { Telling, Tellings } from './untold.ts';

/** Who asks: the authenticated principal, and the client program as it calls itself. */
export interface Caller {
  principal: Principal;
  roles: readonly Role[];
  client: { name: string; version: string | null } | null;
}

/** A human's verified yes to exactly one plan; its nonce is burnt with the intent. */
export interface Consent {
  plan_digest: string;
  nonce: string;
  expires_at: number;
  by: string;
}

export interface StartRequest extends Omit<Target, 'asker'> {
  reason?: string | undefined;
  idempotency_key?: string | undefined;
  plan_digest?: string | undefined;
  allow_concurrent?: boolean | undefined;
  caller: Caller;
  consent: Consent | null;
  /** The client cannot ask its user, and others can be asked instead. */
  desk?: boolean | undefined;
  telling: Telling;
  /** The call that asks for it, recorded together with the intent. */
  entry: CallEntry;
  trigger: Extract<RunTrigger, 'mcp' | 'retrigger'>;
  /** What a re-trigger names, how it was asked for, and what differs from then. */
  retrigger_of?: string;
  again?: { mode: 'pinned' | 'current'; drift: readonly Drift[] };
}

export interface StartPorts extends PreparePorts, Pick<SupervisionPorts, 'clock' | 'processes' | 'log'> {
  supervision: SupervisionPorts;
  /** The name under which this process executes for a server; null: it executes for itself. */
  runner: string | null;
  supervisor: Supervisor;
  detacher: Detacher;
  tellings: Pick<Tellings, 'claim'>;
  ids: Ids;
  host: HostFacts;
  redaction: Pick<Redaction, 'text'>;
  requesters: Requesters;
  /** Told of runs that wait for others. */
  approvals: Pick<ApprovalWatch, 'watch'>;
  /** Null: nothing is reported to any Polycrate API. */
  reporting: Reporting | null;
  remote: RemoteRuns;
  /** Null: nothing stands in for the ledger while it is away. */
  outage: Pick<Outage, 'away'> | null;
}

export type Start =
  | { outcome: 'started'; run: ActionRun }
  | { outcome: 'replayed'; run: ActionRun; age_ms: number }
  /** Nothing was stored: a human has to agree to this plan first. */
  | { outcome: 'approval_needed'; plan: Plan | WorkflowPlan | RemotePlan; decision: Decision };

/** Plans, asks the policy, records the intent, and only then starts it. The run then belongs to its supervisor. */
export async function startRun(ports: StartPorts, asked: StartRequest): Promise<Start> {
  const asker = { ...asked.caller, trigger: asked.trigger };
  const { plan, decision, engine } = await prepare(ports, { ...asked, asker });
  const redactions = await redactionsOf(ports, plan);
  const { reason } = asked;
  const request = { ...asked, reason: reason === undefined ? reason : ports.redaction.text(reason) };
  const sameness = samenessOf(ports, request, {
    workspace: plan.workspace,
    arguments: argumentsOf(request, plan),
  });
  const earlier = await earlierStart(ports, request, sameness);
  if (earlier) return earlier;
  const terms = await admit(ports, request, { digest: plan.digest, decision });
  if (engine) throw engine;
  // Whatever a client says of its user: where that is not enough it is not even asked.
  const byClient = decision.decision === 'approve' && !terms;
  if (byClient && request.consent?.plan_digest !== plan.digest) {
    return { outcome: 'approval_needed', plan, decision };
  }
  const consent = byClient ? request.consent : null;
  const submission = await reportedTo(ports, plan);
  const waits = terms !== null;
  const intent = intentOf(ports, { request, plan, decision, sameness, consent, submission, waits });
  const stored = await storeIntent(ports, request, intent);
  if (stored.outcome !== 'stored') return settled(stored);
  const guard = { run_id: stored.run.id, fence: stored.fence };
  if (terms) {
    const { mode, drift = [] } = request.again ?? {};
    const alone = isAlone(request, decision);
    const run = await askApproval(ports, guard, { plan, decision, terms, alone, drift, ...(mode && { mode }) });
    ports.approvals.watch();
    return told(request, sameness, { outcome: 'started', run });
  }
  const started = told(request, sameness, { outcome: 'started', run: stored.run });
  await launch(ports, {
    plan,
    redactions,
    guard,
    pinned: consent !== null || request.plan_digest !== undefined || plan.view !== null,
  });
  return started;
} // prettier-ignore

function argumentsOf(request: StartRequest, { block, action }: Plan): object {
  const { reason, plan_digest, allow_concurrent, timeout_seconds, trigger, retrigger_of } = request;
  return {
    block: block.name,
    action: action.name,
    ...{ reason, plan_digest, allow_concurrent, timeout_seconds, trigger, retrigger_of },
  };
}

interface Launch {
  plan: Plan;
  redactions: readonly string[];
  guard: LeaseGuard;
  /** It was agreed to by its digest. */
  pinned: boolean;
}

/** Starts what is recorded already. It never fails: how it went is in the record. */
export async function launch(ports: StartPorts, { plan, redactions, guard, pinned }: Launch): Promise<void> {
  const packet = packetOf(ports, plan, { run_id: guard.run_id, redactions, pinned });
  try {
    // What it is copied from is lent for the time of the call only.
    if (packet.copy?.from)
      await ports.supervision.copies.make(copyFolder(ports.files, guard.run_id), packet.copy);
  } catch (error) {
    return await endUnstarted(ports, guard, `not launched: ${ports.redaction.text(messageOf(error))}`);
  }
  if (ports.executor.adoptable) {
    void ports.supervisor.launch(guard, { kind: ports.executor.kind, packet });
    return;
  }
  try {
    await ports.detacher.detach([{ guard, packet }]);
  } catch (error) {
    const why = ports.redaction.text(messageOf(error));
    await endUnstarted(ports, guard, `not launched: its supervisor could not be started (${why})`);
  }
}

/** Closes a run of which nothing was started. */
export async function endUnstarted(
  ports: Pick<StartPorts, 'clock' | 'supervision' | 'files'>,
  guard: LeaseGuard,
  status_reason: string,
  status: 'failed' | 'cancelled' = 'failed',
): Promise<void> {
  const finished_at = ports.clock.now();
  await storeEnd(ports.supervision, guard, {
    status, status_reason, exit_code: null, launched: false, started_at: null, finished_at, log: null,
  }); // prettier-ignore
  await ports.files.remove(guard.run_id);
  await ports.supervision.leases.give(guard, 'delete');
}
