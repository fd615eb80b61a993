import { may, type Identity } from '../access/identity.ts';
import { principalNames } from '../access/people.ts';
import { DAYS, DEFAULT_EXPIRY_MS, type Policy, type PolicyRule, type TRIGGERS } from './policy-file.ts';
import { STRENGTHS, type Strength } from './strength.ts';
import type { Decision } from './policy.ts';
import type { Plan, PlanExecutor } from './plan.ts';

/** Who asks, and how: what a policy looks at beside the plan. */
export interface Asker extends Pick<Identity, 'principal' | 'roles'> {
  /** As it calls itself; null: it did not. */
  client: { name: string } | null;
  trigger: (typeof TRIGGERS)[number];
}

/** What a policy decides about. */
export interface Target {
  organization: string | null;
  workspace: string;
  environment: string | null;
  block: string;
  version: string | null;
  action: string;
  /** Null: not known here; then a rule that names some may refuse, or ask, and not allow. */
  labels: Readonly<Record<string, string>> | null;
  kind: string | null;
  executor: PlanExecutor | 'remote';
}

export interface PolicyFacts extends Target {
  asker: Asker;
  at: number;
  /** For windows of time where neither rule nor file names one. */
  zone: string;
}

/** The same with what the action asks, which is for a human whatever the rules say. */
export interface Subject extends Target {
  prompt: string | null;
}

/** What has to be there before a run of such a rule starts. */
export interface ApprovalTerms {
  /** So many people. */
  count: number;
  /** Each with this role; null: nobody asks for one. */
  role: 'approver' | 'admin' | null;
  strength: Strength;
  expires_ms: number;
}

/** A human's yes through the requester's own client is enough. */
export const BY_CLIENT: ApprovalTerms = {
  count: 1,
  role: null,
  strength: 'client',
  expires_ms: DEFAULT_EXPIRY_MS,
};

export interface LoadedPolicy {
  policy: Policy;
  /** Of the bytes of the file. */
  digest: string;
}

export function subjectOf({ workspace, block, action, executor }: Pick<Plan, 'workspace' | 'block' | 'action' | 'executor'>): Subject {
  return {
    organization: workspace.organization,
    workspace: workspace.name,
    environment: workspace.environment?.value ?? null,
    block: block.name,
    version: block.version,
    action: action.name,
    labels: { ...workspace.labels, ...block.labels, ...action.labels },
    kind: block.kind,
    executor,
    prompt: action.prompt,
  };
} // prettier-ignore

/** Pure: the first rule that matches decides; without one nothing runs. What a client claims can only make it stricter. */
export function decideByPolicy({ policy, digest }: LoadedPolicy, facts: PolicyFacts): Decision {
  const matching = policy.rules.filter((rule) => matches(rule, facts, policy.zone ?? facts.zone));
  const proved = matching.find((rule) => rule.when.client === undefined);
  const base = proved ? decisionOf(proved, digest) : NO_RULE(digest);
  const [first] = matching;
  if (!first || first === proved) return base;
  const claimed = decisionOf(first, digest);
  return isStricter(claimed, base) ? claimed : base;
}

const NO_RULE = (policy_digest: string): Decision => ({
  decision: 'deny',
  rule: 'policy:default',
  why: 'no rule of the policy matches, and what no rule names is denied',
  remedy: 'the operator can add a rule to the policy file',
  policy_digest,
});

function decisionOf(rule: PolicyRule, policy_digest: string): Decision {
  const { decision, name, why, reason, limits, lock } = rule;
  const said = {
    allow: 'the policy allows it',
    approve: 'the policy wants it approved',
    deny: 'the policy denies it',
  };
  return {
    decision,
    rule: name,
    why: why ?? said[decision],
    remedy:
      decision === 'deny'
        ? 'another time, target or person may be allowed; the operator keeps the rules'
        : null,
    policy_digest,
    ...(decision === 'approve' && { approval: termsOf(rule) }),
    ...(reason === 'required' && { reason }),
    ...(Object.keys(limits).length > 0 && { limits: { ...limits } }),
    ...(lock === 'block' && { lock }),
  };
}

/** Two people can only be told apart where both are known. */
export function termsOf({ approve }: Pick<PolicyRule, 'approve'>): ApprovalTerms {
  const { count = 1, role = null, strength, expires = DEFAULT_EXPIRY_MS } = approve ?? {};
  const least = role === null ? 'client' : 'key';
  return { count, role, strength: count > 1 ? 'other_principal' : (strength ?? least), expires_ms: expires };
}

const SEVERITY = { allow: 0, approve: 1, deny: 2 } as const;

/** Whether one decision asks for at least as much as another in every respect. */
export function isStricter(a: Decision, b: Decision): boolean {
  if (a.decision !== b.decision) return SEVERITY[a.decision] > SEVERITY[b.decision];
  if (a.decision === 'deny') return true;
  const [x, y] = [a.approval ?? BY_CLIENT, b.approval ?? BY_CLIENT];
  const atMost = (left?: number, right?: number): boolean =>
    right === undefined || (left !== undefined && left <= right);
  return (
    x.count >= y.count &&
    STRENGTHS.indexOf(x.strength) >= STRENGTHS.indexOf(y.strength) &&
    (x.role === y.role || x.role === 'admin' || y.role === null) &&
    x.expires_ms <= y.expires_ms &&
    (b.reason === undefined || a.reason !== undefined) &&
    (b.lock === undefined || a.lock !== undefined) &&
    atMost(a.limits?.concurrency, b.limits?.concurrency) &&
    atMost(a.limits?.per_hour, b.limits?.per_hour) &&
    atMost(a.limits?.timeout, b.limits?.timeout)
  );
}

export function ruleDecision(rule: PolicyRule): Decision {
  return decisionOf(rule, '');
}

function matches({ when, decision }: PolicyRule, facts: PolicyFacts, zone: string): boolean {
  const { asker, labels } = facts;
  const any = (patterns: readonly string[] | undefined, ...texts: (string | null | undefined)[]): boolean =>
    patterns === undefined ||
    patterns.some((pattern) => texts.some((text) => typeof text === 'string' && fits(pattern, text)));
  return (
    any(when.principal, ...principalNames(asker.principal)) &&
    (when.role === undefined || when.role.some((role) => may(asker, role))) &&
    any(when.organization, facts.organization ?? '-') &&
    any(when.workspace, facts.workspace, `${facts.organization ?? '-'}/${facts.workspace}`) &&
    any(when.environment, facts.environment) &&
    any(when.block, facts.block, facts.version && `${facts.block}:${facts.version}`) &&
    any(when.action, facts.action) &&
    Object.entries(when.labels ?? {}).every(([name, pattern]) =>
      labels === null ? decision !== 'allow' : Object.hasOwn(labels, name) && fits(pattern, labels[name]!),
    ) &&
    any(when.kind, facts.kind) &&
    (when.executor === undefined || when.executor.includes(facts.executor)) &&
    (when.trigger === undefined || when.trigger.includes(asker.trigger)) &&
    any(when.client, asker.client?.name) &&
    inWindow(when, facts.at, when.zone ?? zone)
  );
}

/** `*` stands for anything. Takes time linear in pattern and text, whatever they are. */
export function fits(pattern: string, text: string): boolean {
  const [head, ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === text;
  const tail = rest.pop()!;
  if (!text.startsWith(head!) || text.length < head!.length + tail.length || !text.endsWith(tail))
    return false;
  let from = head!.length;
  const end = text.length - tail.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at < 0 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

function inWindow({ days, hours }: PolicyRule['when'], at: number, zone: string): boolean {
  if (!days && !hours) return true;
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  const part = (type: string): string => parts.find((one) => one.type === type)!.value;
  const day = part('weekday').toLowerCase() as (typeof DAYS)[number];
  const minute = Number(part('hour')) * 60 + Number(part('minute'));
  if (!hours) return days!.includes(day);
  const [from, to] = hours;
  const inside = from < to ? minute >= from && minute < to : minute >= from || minute < to;
  // What began before midnight belongs to the day on which it began.
  const began = from > to && minute < to ? DAYS[(DAYS.indexOf(day) + 6) % 7]! : day;
  return inside && (days === undefined || days.includes(began));
}
