import type { Decision } from '../actions/policy.ts';
import type { Plan } from '../actions/plan.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';
import type { HostFacts, Ids } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import { addressOf } from '../workspaces/workspace.ts';
import type { ActionRun, Principal, RunTrigger } from './action-run.ts';
import { storeEnd } from './finish.ts';
import { intentOf } from './intent.ts';
import { packetOf, prepare, redactionsOf, type PreparePorts, type Target } from './prepare.ts';
import type { Intent, IntentRequest, LeaseGuard, Replay } from './run-ledger.ts';
import type { Detacher, SupervisionPorts } from './supervision.ts';
import type { CallEntry } from './trail.ts';
import type { Supervisor } from './supervisor.ts';
import { UNTOLD_MS, type Telling, type Tellings } from './untold.ts';

export const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000;

/** Who asks: the authenticated principal, and the client program as it calls itself. */
export interface Caller {
  principal: Principal;
  client: { name: string; version: string | null } | null;
}

/** A human's verified yes to exactly one plan; its nonce is burnt with the intent. */
export interface Consent {
  plan_digest: string;
  nonce: string;
  expires_at: number;
  by: string;
}

export interface StartRequest extends Target {
  reason?: string | undefined;
  idempotency_key?: string | undefined;
  plan_digest?: string | undefined;
  allow_concurrent?: boolean | undefined;
  caller: Caller;
  consent: Consent | null;
  telling: Telling;
  /** The call that asks for it, recorded together with the intent. */
  entry: CallEntry;
  trigger: Extract<RunTrigger, 'mcp' | 'retrigger'>;
  /** Extra initial facts: what a re-trigger names. */
  retrigger_of?: string;
}

export interface StartPorts extends PreparePorts, Pick<SupervisionPorts, 'clock' | 'processes' | 'log'> {
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  detacher: Detacher;
  tellings: Pick<Tellings, 'claim'>;
  ids: Ids;
  host: HostFacts;
  redaction: Pick<Redaction, 'text'>;
}

export type Start =
  | { outcome: 'started'; run: ActionRun }
  | { outcome: 'replayed'; run: ActionRun; age_ms: number }
  /** Nothing was stored: a human has to agree to this plan first. */
  | { outcome: 'approval_needed'; plan: Plan; decision: Decision };

/** Plans, asks the policy, records the intent, and only then starts it. The run then belongs to its supervisor. */
export async function startRun(ports: StartPorts, asked: StartRequest): Promise<Start> {
  const { plan, decision, engine } = await prepare(ports, asked);
  const redactions = await redactionsOf(ports, plan);
  const { reason } = asked;
  const request = { ...asked, reason: reason === undefined ? reason : ports.redaction.text(reason) };
  const sameness = samenessOf(ports, request, plan);
  const earlier = await earlierRun(ports, sameness);
  if (earlier) return told(request, sameness, settled(earlier));
  refuseUnlessSame(plan, request.plan_digest);
  if (decision.decision === 'deny') {
    throw new AppError('refused', `not run (${decision.rule}): ${decision.why}`, {
      ...(decision.remedy && { next: decision.remedy }),
    });
  }
  if (engine) throw engine;
  if (decision.decision === 'approve' && request.consent?.plan_digest !== plan.digest) {
    return { outcome: 'approval_needed', plan, decision };
  }
  const consent = decision.decision === 'approve' ? request.consent : null;
  const intent = intentOf(ports, { request, plan, sameness, consent });
  const store = (): Promise<Intent> =>
    request.entry.launch(intent, (whole) => ports.supervision.ledger.request(whole));
  let stored = await store();
  if (stored.outcome === 'active' && (await ports.supervisor.recover()) > 0) {
    // The run in the way was an orphan; if it is closed by now, this one may go.
    stored = await store();
  }
  if (stored.outcome !== 'stored') return settled(stored);
  const started = told(request, sameness, { outcome: 'started', run: stored.run });
  await launch(ports, { plan, redactions, guard: { run_id: stored.run.id, fence: stored.fence } });
  return started;
}

/** What makes two calls the same one: an idempotency key, or all of principal, workspace and arguments. */
type Sameness = Pick<IntentRequest, 'idempotency' | 'untold'>;

function samenessOf(ports: StartPorts, request: StartRequest, plan: Plan): Sameness {
  const { scope, arguments_digest } = identityOf(request, plan);
  const key = request.idempotency_key;
  if (key !== undefined) {
    return { idempotency: { scope, key, arguments_digest, valid_ms: IDEMPOTENCY_MS }, untold: null };
  }
  const call = sha256(canonicalJson({ scope, arguments_digest }));
  return { idempotency: null, untold: { call, teller: ports.processes.self(), valid_ms: UNTOLD_MS } };
}

async function earlierRun(ports: StartPorts, { idempotency, untold }: Sameness): Promise<Replay | null> {
  if (idempotency) return await ports.supervision.ledger.replay(idempotency, ports.clock.now());
  return untold && (await ports.tellings.claim(untold.call));
}

/** Without a key, it counts whether the caller gets to know the run. */
function told<S extends Start & { run: ActionRun }>(
  { telling }: StartRequest,
  { untold }: Sameness,
  start: S,
): S {
  if (untold) telling.of({ run_id: start.run.id, at: start.run.requested_at });
  return start;
}

function identityOf(request: StartRequest, plan: Plan): { scope: string; arguments_digest: string } {
  const { reason, plan_digest, allow_concurrent, timeout_seconds, trigger, retrigger_of } = request;
  return {
    scope: `${request.caller.principal.kind}:${request.caller.principal.subject}@${addressOf(plan.workspace)}`,
    arguments_digest: sha256(
      canonicalJson({
        block: plan.block.name,
        action: plan.action.name,
        ...{ reason, plan_digest, allow_concurrent, timeout_seconds, trigger, retrigger_of },
      }),
    ),
  };
}

function refuseUnlessSame(plan: Plan, expected: string | undefined): void {
  if (expected === undefined || expected === plan.digest) return;
  throw new AppError(
    'plan_changed',
    'the plan is not the one of plan_digest any more: files, image or settings changed',
    {
      next: 'call plan_action, look at what would run now, and pass its digest',
      details: { plan_digest: plan.digest },
    },
  );
}

/** Turns what the ledger decided into the caller's answer. */
function settled(intent: Exclude<Intent, { outcome: 'stored' }>): Extract<Start, { outcome: 'replayed' }> {
  switch (intent.outcome) {
    case 'replayed':
      return intent;
    case 'key_reused':
      throw new AppError(
        'key_reused',
        intent.expired
          ? `this idempotency_key is older than 24 hours and stands for run ${intent.run_id}`
          : `this idempotency_key stands for run ${intent.run_id}, which had other arguments`,
        { next: 'use a new idempotency_key for a new run', details: { run_id: intent.run_id } },
      );
    case 'active':
      throw new AppError('already_active', `run ${intent.run_id} of this block is still open`, {
        next: `wait_for_action_run or cancel_action_run with run_id ${intent.run_id}, or allow_concurrent: true`,
        details: { run_id: intent.run_id },
      });
    case 'burnt':
      throw new AppError('refused', 'this approval was used already: one approval starts one run', {
        next: 'call the tool again, which asks the human again',
      });
  }
}

interface Launch {
  plan: Plan;
  redactions: readonly string[];
  guard: LeaseGuard;
}

async function launch(ports: StartPorts, { plan, redactions, guard }: Launch): Promise<void> {
  const packet = packetOf(ports, plan, { run_id: guard.run_id, redactions });
  if (ports.executor.adoptable) {
    void ports.supervisor.launch(guard, { kind: ports.executor.kind, packet });
    return;
  }
  try {
    await ports.detacher.detach([{ guard, packet }]);
  } catch (error) {
    const finished_at = ports.clock.now();
    const status_reason = `not launched: its supervisor could not be started (${ports.redaction.text(messageOf(error))})`;
    await storeEnd(ports.supervision, guard, {
      status: 'failed', status_reason, exit_code: null, launched: false, started_at: null, finished_at, log: null,
    }); // prettier-ignore
    await ports.supervision.leases.give(guard, 'delete');
  }
}
