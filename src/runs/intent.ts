import type { Plan } from '../actions/plan.ts';
import type { JsonObject } from '../shared/json.ts';
import type { IntentRequest } from './run-ledger.ts';
import type { Consent, StartPorts, StartRequest } from './start.ts';
import { LEASE_MS } from './supervision.ts';

interface IntentParts {
  request: StartRequest;
  plan: Plan;
  sameness: Pick<IntentRequest, 'idempotency' | 'untold'>;
  consent: Consent | null;
}

/** The intent: the whole initial record, with the lease of the process that will launch it. */
export function intentOf(
  ports: StartPorts,
  { request, plan, sameness, consent }: IntentParts,
): IntentRequest {
  const now = ports.clock.now();
  const run_id = ports.ids.next();
  return {
    event: {
      kind: 'run_requested',
      run_id,
      at: now,
      facts: requestedFacts(ports, { run_id, now, request, plan, approved: consent !== null }),
      private: {
        ...requestedBy(ports, request, consent && { ...consent, at: now }),
        // Usually below somebody's home folder, whose name is theirs.
        workspace_path: plan.workspace.path,
      },
    },
    lease: {
      run_id,
      owner: ports.processes.self(),
      executor: ports.executor.kind,
      phase: 'launching',
      ref: null,
      expires_at: now + LEASE_MS,
      timeout_ms: plan.timeout_ms,
    },
    ...sameness,
    exclusive: request.allow_concurrent !== true,
    burn: consent && { nonce: consent.nonce, expires_at: consent.expires_at },
    calls: null,
  };
}

/** The person's part of the record: everything that can be erased later. */
function requestedBy(
  { host }: StartPorts,
  request: StartRequest,
  consent: (Consent & { at: number }) | null,
): JsonObject {
  const { principal, client } = request.caller;
  return {
    hostname: host.hostname,
    os_user: host.os_user,
    principal: { ...principal },
    client: client && { ...client },
    reason: request.reason ?? null,
    approval: consent && { outcome: 'approved', strength: 'client', by: consent.by, at: consent.at },
  };
}

interface RequestedParts {
  run_id: string;
  now: number;
  request: StartRequest;
  plan: Plan;
  approved: boolean;
}

function requestedFacts(
  ports: StartPorts,
  { run_id, now, request, plan, approved }: RequestedParts,
): JsonObject {
  const { workspace, block, action } = plan;
  return {
    id: run_id,
    aliases: [],
    kind: 'action',
    organization: workspace.organization,
    workspace: workspace.name,
    environment: workspace.environment && { ...workspace.environment },
    workspace_commit: null,
    workspace_dirty: null,
    block: block.name,
    block_version: block.version,
    app_version: block.app_version,
    block_from: block.from,
    action: action.name,
    workflow: null,
    step: null,
    parent: null,
    status: 'pending',
    status_reason: null,
    exit_code: null,
    requested_at: now,
    approved_at: approved ? now : null,
    launched: false,
    started_at: null,
    finished_at: null,
    duration_ms: null,
    cli_version: null,
    trigger: request.trigger,
    retrigger_of: request.retrigger_of ?? null,
    cancelled_by: null,
    cancel_reason: null,
    policy_digest: null,
    executor: {
      kind: ports.executor.kind,
      runner: null,
      image: plan.image?.reference ?? null,
      image_digest: plan.image?.digest ?? null,
      container: null,
    },
    plan_digest: plan.digest,
    pins: { ...plan.pins },
    log: null,
    api: null,
    source: 'ledger',
    evidence: { authenticated: ['principal', 'os_user', 'hostname'], claimed: ['client', 'reason'] },
  };
}
