import type { ApprovalTerms } from '../actions/policy-rules.ts';
import type { Decision } from '../actions/policy.ts';
import { awaitedTerms, refuseUnapprovable } from './ask-approval.ts';
import { refuseUndecided } from './outage.ts';
import { refuseDenied, refuseUnlessSame, refuseWithoutReason } from './request.ts';
import type { StartPorts, StartRequest } from './start.ts';

interface Planned {
  /** Of the plan as it is now. */
  digest: string;
  decision: Decision;
  /** Of the steps of a workflow. */
  steps?: readonly Decision[];
}

/**
 * Throws why it may not be started, before anything is stored or anybody is asked. Answers the terms on which others have to
 * agree; null: it waits for nobody else.
 */
export async function admit(
  ports: Pick<StartPorts, 'policy' | 'outage'>,
  request: Pick<StartRequest, 'caller' | 'desk' | 'plan_digest' | 'reason'>,
  { digest, decision, steps = [] }: Planned,
): Promise<ApprovalTerms | null> {
  refuseUnlessSame(digest, request.plan_digest);
  refuseDenied(decision);
  for (const one of [decision, ...steps]) await refuseUndecided(ports.outage, one);
  refuseWithoutReason(decision, request.reason);
  const terms = awaitedTerms(decision, request);
  if (terms) await refuseUnapprovable(ports, decision, { terms, caller: request.caller });
  return terms;
}
