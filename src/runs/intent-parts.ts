import type { Subject } from '../actions/policy-rules.ts';
import type { Decision } from '../actions/policy.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun } from './action-run.ts';
import type { Approval } from './approval.ts';
import type { Sameness } from './request.ts';
import type { IntentRequest, LeaseKind } from './run-ledger.ts';
import type { Caller, Consent, StartPorts } from './start.ts';
import { LEASE_MS } from './supervision.ts';

// What the intents of all kinds of runs are made of.

/** Which rule of which policy it was; the roles, because rules ask for them again when a step or an approval comes. */
export function ruledBy({ policy_digest, rule }: Decision, caller: Caller | null): JsonObject {
  if (policy_digest === undefined) return {};
  return { policy_digest, policy_rule: rule, ...(caller && { requester_roles: [...caller.roles] }) };
}

export function quotaOf({ rule, limits }: Decision): IntentRequest['quota'] {
  const { concurrency = null, per_hour = null } = limits ?? {};
  return concurrency === null && per_hour === null ? null : { rule, concurrency, per_hour };
}

export function approvalOf(consent: Consent | null, at: number): Approval | null {
  return consent && { outcome: 'approved', strength: 'client', by: consent.by, at };
}

interface Parts {
  run_id: string;
  now: number;
  path: string | null;
  facts: JsonObject;
  by: Pick<ActionRun, 'principal' | 'client' | 'reason' | 'approval'>;
  lease: { executor: LeaseKind; timeout_ms: number | null };
  sameness: Sameness;
  exclusive: boolean;
  burn: IntentRequest['burn'];
  quota?: IntentRequest['quota'];
  about?: readonly Subject[];
  /** Of what is reported to a Polycrate API; workflows are not, their steps are. */
  submission?: IntentRequest['submission'];
}

export function whole({ host, processes }: StartPorts, parts: Parts): IntentRequest {
  const { run_id, now, by } = parts;
  return {
    event: {
      kind: 'run_requested',
      run_id,
      at: now,
      facts: parts.facts,
      // The person's part of the record: everything that can be erased later.
      private: {
        hostname: host.hostname,
        os_user: host.os_user,
        principal: by.principal && { ...by.principal },
        client: by.client && { ...by.client },
        reason: by.reason,
        approval: by.approval && { ...by.approval },
        // Usually below somebody's home folder, whose name is theirs.
        workspace_path: parts.path,
      },
    },
    lease: {
      run_id,
      owner: processes.self(),
      executor: parts.lease.executor,
      phase: 'launching',
      ref: null,
      expires_at: now + LEASE_MS,
      timeout_ms: parts.lease.timeout_ms,
    },
    ...parts.sameness,
    exclusive: parts.exclusive,
    burn: parts.burn,
    quota: parts.quota ?? null,
    submission: parts.submission ?? null,
    ...(parts.about && { about: parts.about }),
    calls: null,
  };
}
