import { z } from 'zod';
import { STRENGTHS } from '../actions/strength.ts';
import { termsOf, type Asker } from '../actions/policy-rules.ts';
import type { Decision, RunMode } from '../actions/policy.ts';
import { covers } from '../runs/approval.ts';
import { awaitedTerms, refuseUnapprovable } from '../runs/ask-approval.ts';
import { approvalOf, quotaOf, ruledBy } from '../runs/intent-parts.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import { keyScopeOf, refuseDenied, refuseWithoutReason, reportedTo } from '../runs/request.ts';
import type { IntentRequest, RunLedger } from '../runs/run-ledger.ts';
import { askerOf, isApproved } from '../runs/start-step.ts';
import type { Consent, StartPorts } from '../runs/start.ts';
import type { CallRecorder } from '../runs/trail.ts';
import { UNTOLD_MS } from '../runs/untold.ts';
import { AppError } from '../shared/errors.ts';
import { textOf, type JsonObject } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';
import type { CallAuthority } from './authority.ts';
import type { CallBody, SentCall } from './call.ts';
import { decideAgain, placeOf } from './decide-again.ts';
import type { RunnerExchange } from './exchange.ts';
import { holderOf, type Machine } from './machine.ts';
import { refuseOtherRun } from './of-call.ts';

export interface CallAuthorityPorts {
  exchange: Pick<RunnerExchange, 'find' | 'launched' | 'runners'>;
  ledger: Pick<RunLedger, 'find'>;
  policy: PolicyPorts;
  mode: RunMode;
  recorder: Pick<CallRecorder, 'launching'>;
  reporting: StartPorts['reporting'];
  clock: Pick<Clock, 'now'>;
}

/** Who asked, by which rule and for what is the server's to say; the runner says what it planned. */
export function createCallAuthority(ports: CallAuthorityPorts): CallAuthority {
  return {
    async intentOf(machine, intent, call_id) {
      const { runner, body } = await callOf(ports, machine, call_id);
      const { sent } = body;
      await refuseOtherRun(ports, intent, body);
      const trigger = sent.tool === 'run_action' ? 'mcp' : sent.tool === 'run_workflow' ? 'workflow' : 'retrigger';
      const asker: Asker = { ...sent.caller, trigger };
      const decision = await decideAgain(ports, intent, asker);
      const consent = await agreedTo(ports, intent, { decision, sent });
      const whole = await asStored(ports, intent, { runner, body, decision, consent });
      if (await ports.exchange.launched(call_id, intent.event.run_id)) return whole;
      throw notOpen();
    },
    async stepOf(_machine, intent, parent) {
      const decision = await decideAgain(ports, intent, askerOf(parent, 'workflow'));
      refuseDenied(decision);
      if (decision.decision === 'approve' && !isApproved(parent, decision)) {
        throw new AppError('refused', `no human has approved it (${decision.rule})`);
      }
      const { event } = intent;
      return {
        ...intent,
        event: { ...event, facts: { ...named(event.facts, parent.executor?.runner ?? null), ...ruledBy(decision, null) } },
        exclusive: true,
        quota: quotaOf(decision) ?? null,
        submission: (await submissionOf(ports, intent)) ?? null,
        calls: null,
      };
    },
    async asked(_machine, run, event) {
      const request = requestSchema.safeParse(event.facts['approval_request']);
      if (!request.success) throw new AppError('refused', 'that is no request for approval');
      await refuseLess(ports, textOf(event.facts['policy_rule'] ?? run.policy_rule), request.data);
      const { executor } = event.facts;
      const facts = executor ? named(event.facts, run.executor?.runner ?? null) : event.facts;
      return { ...event, facts };
    },
  };
} // prettier-ignore

function notOpen(): AppError {
  return new AppError('refused', 'this call is not open any more, so nothing is started for it');
}

/** The call, if it was handed to a runner of this key. */
async function callOf({ exchange }: CallAuthorityPorts, machine: Machine, id: string): Promise<{ runner: string; body: CallBody }> {
  const call = await exchange.find(id);
  const runner = call && (await exchange.runners()).find(({ name }) => name === call.runner);
  if (!call || !runner || runner.key !== holderOf(machine)) throw notOpen();
  return { runner: runner.name, body: call.body as unknown as CallBody };
} // prettier-ignore

/** The consent that it rests on, or null where none is needed. Throws what a server would that plans itself. */
async function agreedTo(
  ports: CallAuthorityPorts,
  { event, lease }: IntentRequest,
  { decision, sent }: { decision: Decision; sent: SentCall },
): Promise<Consent | null> {
  refuseDenied(decision);
  const { reason } = event.private;
  refuseWithoutReason(decision, typeof reason === 'string' ? reason : undefined);
  const terms = awaitedTerms(decision, sent);
  if ((terms !== null) !== (lease.executor === 'approval') || !isSameRule(event.facts, decision)) {
    throw new AppError('refused', 'the rules changed while it was planned, so it was not started', {
      next: 'call again',
    });
  }
  if (terms) {
    await refuseUnapprovable(ports, decision, { terms, caller: sent.caller });
    return null;
  }
  if (decision.decision === 'allow') return null;
  const { consent } = sent;
  if (consent !== null && consent.plan_digest === event.facts['plan_digest']) return consent;
  throw new AppError('refused', `no human has approved it (${decision.rule})`);
}

function isSameRule(facts: JsonObject, { policy_digest }: Decision): boolean {
  return (facts['policy_digest'] ?? null) === (policy_digest ?? null);
}

interface Agreed {
  runner: string;
  body: CallBody;
  decision: Decision;
  consent: Consent | null;
}

/** The intent with everything in it that is not for a runner to say. */
async function asStored(ports: CallAuthorityPorts, intent: IntentRequest, agreed: Agreed): Promise<IntentRequest> {
  const { runner, body, decision, consent } = agreed;
  const { sent, kept } = body;
  const { event } = intent;
  const isAction = event.facts['kind'] === 'action';
  const facts = {
    ...named(event.facts, runner),
    ...ruledBy(decision, sent.caller),
    approved_at: consent && event.at,
  };
  const by = { principal: { ...sent.caller.principal }, client: sent.caller.client && { ...sent.caller.client } };
  const approval = approvalOf(consent, event.at);
  const mayBeside = isAction && sent.input['allow_concurrent'] === true && decision.lock !== 'block';
  const whole: IntentRequest = {
    ...intent,
    event: { ...event, facts, private: { ...event.private, ...by, approval: approval && { ...approval } } },
    ...samenessOf(intent, body),
    exclusive: mayBeside ? intent.exclusive : true,
    burn: consent && { nonce: consent.nonce, expires_at: consent.expires_at },
    quota: isAction ? (quotaOf(decision) ?? null) : null,
    submission: isAction ? ((await submissionOf(ports, intent)) ?? null) : null,
  };
  return { ...whole, calls: await ports.recorder.launching(kept.origin, sent.caller, whole) };
} // prettier-ignore

function samenessOf({ event, idempotency }: IntentRequest, { sent, kept }: CallBody): Pick<IntentRequest, 'idempotency' | 'untold'> {
  const key = sent.input['idempotency_key'];
  if (typeof key !== 'string') {
    return { idempotency: null, untold: { call: kept.sameness, teller: kept.teller, valid_ms: UNTOLD_MS } };
  }
  const { organization, workspace: name } = placeOf(event.facts);
  const scope = keyScopeOf(sent.caller, { organization, name });
  if (idempotency?.key !== key || idempotency.scope !== scope) {
    throw new AppError('refused', 'the idempotency key is not that of the call');
  }
  return { idempotency, untold: null };
} // prettier-ignore

async function submissionOf(ports: CallAuthorityPorts, { event }: IntentRequest): Promise<IntentRequest['submission']> {
  const { organization, workspace: name } = placeOf(event.facts);
  return await reportedTo(ports, { workspace: { organization, name }, block: { name: textOf(event.facts['block']) } });
} // prettier-ignore

/** With the name of the runner as the server knows it. */
function named(facts: JsonObject, runner: string | null): JsonObject {
  const { executor } = facts;
  return { ...facts, executor: { ...(executor as JsonObject), runner } };
}

const requestSchema = z.looseObject({
  count: z.number().int().min(1),
  role: z.enum(['approver', 'admin']).nullable(),
  strength: z.enum(STRENGTHS),
  asked_at: z.number(),
  expires_at: z.number(),
});

/** It must ask for what its rule wants by now. */
async function refuseLess({ policy, mode }: CallAuthorityPorts, name: string, request: z.output<typeof requestSchema>): Promise<void> {
  if (mode !== 'policy' || !policy.policies) return;
  const current = await policy.policies.current();
  const rule = typeof current === 'string' ? undefined : current.policy.rules.find((one) => one.name === name);
  if (!rule || rule.decision === 'deny') throw new AppError('refused', `the rule ${name} lets nobody approve it`);
  const terms = rule.decision === 'approve' ? termsOf(rule) : null;
  if (terms && (!covers(request, terms) || request.expires_at - request.asked_at > terms.expires_ms)) {
    throw new AppError('refused', `the rule ${name} asks for more than that`);
  }
} // prettier-ignore
