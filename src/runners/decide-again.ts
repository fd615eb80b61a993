import type { Place } from '../access/identity.ts';
import type { Asker, Subject } from '../actions/policy-rules.ts';
import { decideAbout, type Circumstances, type Decision, type RunMode } from '../actions/policy.ts';
import { strictest } from '../actions/workflow-plan.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { IntentRequest } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { isObject, type Json, type JsonObject } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';

interface Ports {
  policy: PolicyPorts;
  mode: RunMode;
  clock: Pick<Clock, 'now'>;
}

/** What this server's own rules say about the intent of a runner. */
export async function decideAgain({ policy, mode, clock }: Ports, intent: IntentRequest, asker: Asker): Promise<Decision> {
  const around: Circumstances = {
    asker,
    policy: policy.policies && (await policy.policies.current()),
    at: clock.now(),
    zone: policy.zone(),
  };
  const [first, ...rest] = subjectsIn(intent).map((subject) => decideAbout(subject, mode, around));
  if (!first) throw unclear();
  // Limits of a workflow are those of each step.
  return intent.event.facts['kind'] === 'workflow' ? withoutLimits(strictest([first, ...rest])) : first;
} // prettier-ignore

function withoutLimits({ limits: _, ...decision }: Decision): Decision {
  return decision;
}

function unclear(): AppError {
  return new AppError('refused', 'the runner does not tell what a policy would decide about');
}

/** Only what the record does not tell is the runner's word. */
function subjectsIn({ event: { facts }, about = [] }: IntentRequest): Subject[] {
  const { environment } = facts;
  const value = isObject(environment) ? environment['value'] : null;
  const where = { ...placeOf(facts), environment: typeof value === 'string' ? value : null };
  if (facts['kind'] === 'action') {
    const [own, ...more] = about;
    if (!own || more.length > 0) throw unclear();
    const [block, action] = [required(facts['block']), required(facts['action'])];
    return [{ ...own, ...where, block, action, version: textOrNull(facts['block_version']) }];
  }
  const steps = Array.isArray(facts['steps']) ? facts['steps'] : [];
  if (steps.length !== about.length) throw unclear();
  return steps.map((step, index) => {
    if (!isObject(step)) throw unclear();
    return { ...about[index]!, ...where, block: required(step['block']), action: required(step['action']) };
  });
}

export function placeOf(facts: JsonObject): Place {
  return { organization: textOrNull(facts['organization']), workspace: required(facts['workspace']) };
}

function required(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  throw unclear();
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
