import { canonicalJson, sha256 } from '../shared/json.ts';
import { decideByPolicy } from './policy-rules.ts';
import {
  ASK,
  policyBroken,
  prompted,
  READ_ONLY,
  TRUSTED,
  type Circumstances,
  type Decision,
  type OperatorLimits,
} from './policy.ts';

/** What a Polycrate API would be asked to execute itself, because the workspace is not on this host. */
export interface RemotePlan {
  executor: 'remote';
  /** Name and address of the API. */
  endpoint: string;
  url: string;
  organization: string;
  workspace: string;
  environment: { value: string; origin: string } | null;
  /** As the API has it now; `managed_by`: whose it is there (`cli`, `operator`, `api`), if that is told. */
  block: { id: string; name: string; version: string | null; kind: string | null; managed_by: string | null };
  action: string;
  /** What the action asks, as far as the API tells. */
  prompt: string | null;
  warnings: readonly string[];
  /** SHA-256 over what would be asked for and the version that the API would take. */
  digest: string;
}

export function remoteDigest(plan: Omit<RemotePlan, 'digest' | 'warnings'>): string {
  const { endpoint, url, organization, workspace, block, action, prompt } = plan;
  const { id, version } = block;
  return sha256(
    canonicalJson(['remote', endpoint, url, organization, workspace, id, version, action, prompt]),
  );
}

/** Pure: as for any run, with what can be known of a block that is not here. */
export function decideRemote(
  plan: RemotePlan,
  { mode }: Pick<OperatorLimits, 'mode'>,
  around: Circumstances,
): Decision {
  if (mode === 'read-only') return READ_ONLY;
  const { prompt } = plan;
  const asks = (decision: Decision): Decision =>
    prompt === null || decision.decision !== 'allow' ? decision : { ...decision, ...prompted(prompt) };
  if (mode === 'policy') return asks(byPolicy(plan, around));
  return mode === 'ask' ? ASK : asks(TRUSTED);
}

function byPolicy(plan: RemotePlan, { asker, policy, at, zone }: Circumstances): Decision {
  if (policy === null || typeof policy === 'string') return policyBroken(policy ?? 'no policy is loaded');
  const { organization, workspace, environment, block, action } = plan;
  const decided = decideByPolicy(policy, {
    ...{ asker, organization, workspace, action, at, zone },
    environment: environment?.value ?? null,
    block: block.name,
    version: block.version,
    kind: block.kind,
    labels: null,
    executor: 'remote',
  });
  if (decided.decision === 'deny' || decided.limits?.timeout === undefined) return decided;
  return {
    ...decided,
    decision: 'deny',
    why: 'the rule limits how long it may run, and what a Polycrate API executes cannot be stopped from here',
    remedy: 'the operator can write a rule for executor: remote without a timeout',
  };
}
