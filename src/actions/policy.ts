import { blockerOf } from '../blocks/block.ts';
import { workspaceBlockerOf } from '../workspaces/workspace.ts';
import type { Mount } from './launch-spec.ts';
import type { Plan } from './plan.ts';
import {
  BY_CLIENT,
  decideByPolicy,
  subjectOf,
  type ApprovalTerms,
  type Asker,
  type LoadedPolicy,
  type Subject,
} from './policy-rules.ts';

export type RunMode = 'read-only' | 'ask' | 'policy' | 'trusted';

/** What the operator allows; nothing in a workspace can widen it. */
export interface OperatorLimits {
  mode: RunMode;
  /** Image references, `*` at the end stands for anything. */
  allowed_images: readonly string[];
  /** Host folders, real paths, that a workspace may mount besides itself. */
  allowed_mounts: readonly string[];
}

export interface Decision {
  decision: 'allow' | 'approve' | 'deny';
  /** The rule that decided, by a stable name. */
  rule: string;
  why: string;
  /** For `deny`: the setting or the file that would have to change. */
  remedy: string | null;
  /** For `approve`. */
  approval?: ApprovalTerms;
  reason?: 'required';
  /** `timeout` in milliseconds. */
  limits?: { concurrency?: number | undefined; per_hour?: number | undefined; timeout?: number | undefined };
  /** No two runs of the block at once, whatever the caller says. */
  lock?: 'block';
  /** Of the policy file whose rule it is. */
  policy_digest?: string;
}

/** Who asks and when, and the rules that hold; `policy` is a text where there is none and says why. */
export interface Circumstances {
  asker: Asker;
  policy: LoadedPolicy | string | null;
  at: number;
  zone: string;
}

/** Values over those of workspace.poly: without them an action runs with the wrong configuration, not with less. */
const LOCKED_OVERRIDES = 'secrets.poly.age';

// What is decided by the run mode alone, whoever executes.

export const READ_ONLY: Decision = {
  decision: 'deny',
  rule: 'mode:read-only',
  why: 'this server runs nothing',
  remedy: 'the operator can set POLYCRATE_MCP_RUN_MODE to ask or trusted',
};

export const ASK: Decision = {
  decision: 'approve',
  rule: 'mode:ask',
  why: 'a human approves each run',
  remedy: null,
  approval: BY_CLIENT,
};

export const TRUSTED: Decision = {
  decision: 'allow',
  rule: 'mode:trusted',
  why: "the client's own confirmation is enough",
  remedy: null,
};

/** What an action asks is for a human to answer. */
export function prompted(prompt: string): Decision {
  return {
    decision: 'approve',
    rule: 'action:prompt',
    why: `the action asks: ${prompt}`,
    remedy: null,
    approval: BY_CLIENT,
  };
}

export function policyBroken(why: string): Decision {
  return {
    decision: 'deny',
    rule: 'policy:broken',
    why,
    remedy: 'the operator can mend the file that POLYCRATE_MCP_POLICY names; get_status shows what is wrong',
  };
}

/** Pure: may this plan run, and does a human have to agree first? */
export function decide(plan: Plan, limits: OperatorLimits, around?: Circumstances): Decision {
  const refused = refusal(plan, limits);
  if (refused) return refused;
  return decideAbout(subjectOf(plan), limits.mode, around);
}

/** The same for what is known to have no other obstacle: by run mode and rules alone. */
export function decideAbout(subject: Subject, mode: RunMode, around?: Circumstances): Decision {
  if (mode === 'read-only') return READ_ONLY;
  if (mode === 'policy') return byPolicy(subject, around);
  if (subject.prompt !== null) return prompted(subject.prompt);
  return mode === 'ask' ? ASK : TRUSTED;
}

/** What an action asks is for a human, whatever the rules allow. */
function byPolicy({ prompt, ...subject }: Subject, around: Circumstances | undefined): Decision {
  const policy = around?.policy ?? 'no policy is loaded';
  if (!around || typeof policy === 'string') {
    return policyBroken(typeof policy === 'string' ? policy : 'nobody knows who asks');
  }
  const { asker, at, zone } = around;
  const decided = decideByPolicy(policy, { ...subject, asker, at, zone });
  if (decided.decision !== 'allow' || prompt === null) return decided;
  return {
    ...decided,
    decision: 'approve',
    why: `${decided.why}, and the action asks: ${prompt}`,
    approval: BY_CLIENT,
  };
}

function refusal(plan: Plan, limits: OperatorLimits): Decision | null {
  const deny = (rule: string, why: string, remedy: string): Decision => ({
    decision: 'deny',
    rule,
    why,
    remedy,
  });
  if (limits.mode === 'read-only') return READ_ONLY;
  if (!plan.workspace.runnable) {
    return deny(
      'workspace:not-named',
      `${plan.workspace.path} is only the current folder`,
      'the operator can name it in POLYCRATE_MCP_WORKSPACES',
    );
  }
  const blocker = workspaceBlockerOf(plan.workspace) ?? blockerOf(plan.block) ?? plan.action.problem;
  if (blocker) return deny('definition:broken', blocker, 'mend the file, then call plan_action again');
  const { schema } = plan.files;
  if (schema && schema.violations.length > 0) {
    return deny(
      'definition:schema',
      `the configuration does not fit ${schema.file}: ${schema.violations.join('; ')}`,
      'mend the configuration, then call plan_action again',
    );
  }
  if (plan.files.encrypted.includes(LOCKED_OVERRIDES)) {
    return deny(
      'secrets:locked',
      plan.files.wrong_key
        ? `WORKSPACE_ENCRYPTION_KEY does not open ${LOCKED_OVERRIDES}, and an action would run without its values`
        : `${LOCKED_OVERRIDES} is encrypted, and an action would run without its values`,
      "the operator can set WORKSPACE_ENCRYPTION_KEY to the workspace's key, or run `polycrate workspace decrypt`",
    );
  }
  if (plan.action.interactive) {
    return deny(
      'action:interactive',
      `action ${plan.action.name} is interactive and needs a terminal`,
      'run it with `polycrate run` in a terminal',
    );
  }
  if (plan.custom?.problem) {
    return deny(
      'definition:dockerfile',
      `${plan.custom.file} ${plan.custom.problem}`,
      'mend the file, then call plan_action again',
    );
  }
  const image = imagesOf(plan).find((reference) => !imageAllowed(reference, limits.allowed_images));
  if (image !== undefined) {
    return deny(
      'image:not-allowed',
      `the image ${image}${plan.custom ? ` in ${plan.custom.file}` : ''} is not allowed`,
      'the operator can add it to POLYCRATE_MCP_ALLOWED_IMAGES',
    );
  }
  const mount = plan.mounts.find(
    (candidate) => !mountAllowed(candidate, plan.workspace.path, limits.allowed_mounts),
  );
  if (mount) {
    return deny(
      'mount:not-allowed',
      `the mount of ${mount.host} lies outside the workspace`,
      'the operator can add it to POLYCRATE_MCP_ALLOWED_MOUNTS',
    );
  }
  return null;
}

/** Images that the plan, its Dockerfile or, where the CLI chooses, the workspace names. */
function imagesOf({ executor, image, custom, workspace }: Plan): readonly string[] {
  if (custom) return custom.images;
  const named = executor === 'cli' ? workspace.config.image : image?.reference;
  return named ? [named] : [];
}

/** `*` at the end of a pattern stands for anything. */
export function imageAllowed(reference: string, allowed: readonly string[]): boolean {
  return allowed.some((pattern) =>
    pattern.endsWith('*') ? reference.startsWith(pattern.slice(0, -1)) : reference === pattern,
  );
}

function mountAllowed({ host }: Mount, workspace: string, allowed: readonly string[]): boolean {
  return [workspace, ...allowed]
    .map((folder) => folder.replace(/\/$/, ''))
    .some((folder) => host === folder || host.startsWith(`${folder}/`));
}
