import { blockerOf } from '../blocks/block.ts';
import { workspaceBlockerOf } from '../workspaces/workspace.ts';
import type { Mount } from './launch-spec.ts';
import type { Plan } from './plan.ts';

export type RunMode = 'read-only' | 'ask' | 'trusted';

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
}

/** Pure: may this plan run, and does a human have to agree first? */
export function decide(plan: Plan, limits: OperatorLimits): Decision {
  return refusal(plan, limits) ?? consent(plan, limits);
}

function refusal(plan: Plan, limits: OperatorLimits): Decision | null {
  const deny = (rule: string, why: string, remedy: string): Decision => ({
    decision: 'deny',
    rule,
    why,
    remedy,
  });
  if (limits.mode === 'read-only') {
    return deny(
      'mode:read-only',
      'this server runs nothing',
      'the operator can set POLYCRATE_MCP_RUN_MODE to ask or trusted',
    );
  }
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
  if (plan.action.interactive) {
    return deny(
      'action:interactive',
      `action ${plan.action.name} is interactive and needs a terminal`,
      'run it with `polycrate run` in a terminal',
    );
  }
  if (plan.image && !imageAllowed(plan.image.reference, limits.allowed_images)) {
    return deny(
      'image:not-allowed',
      `the image ${plan.image.reference} is not allowed`,
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

function consent({ action }: Plan, { mode }: OperatorLimits): Decision {
  if (action.prompt !== null) {
    return {
      decision: 'approve',
      rule: 'action:prompt',
      why: `the action asks: ${action.prompt}`,
      remedy: null,
    };
  }
  return mode === 'ask'
    ? { decision: 'approve', rule: 'mode:ask', why: 'a human approves each run', remedy: null }
    : {
        decision: 'allow',
        rule: 'mode:trusted',
        why: "the client's own confirmation is enough",
        remedy: null,
      };
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
