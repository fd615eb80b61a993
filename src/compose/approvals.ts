import { may, type Identity } from '../access/identity.ts';
import { systemClock } from '../adapters/host/host.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { isOpen, type ApiKeys } from '../ledger/api-keys.ts';
import type { ActionRun } from '../runs/action-run.ts';
import { createApprovalDesk, type ApprovalDesk } from '../runs/approval-desk.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { CallRecorder } from '../runs/trail.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

interface Parts {
  config: Config;
  records: Records;
  policy: PolicyPorts;
  recorder: CallRecorder;
  redaction: Redaction;
  store: WorkspaceStore;
  keys: Pick<ApiKeys, 'list'>;
}

/** Where people answer, and the address of its page once a server has one. */
export interface Approvals {
  desk: ApprovalDesk;
  /** Where the page is reached; null: there is none. `serve` sets it when it listens. */
  page: { url: string | null };
  link(run: ActionRun): Promise<string | null>;
  /** Whether anybody but who asks could answer, as far as is known here. */
  reachable(identity: Identity): Promise<boolean>;
}

export function approvalsOf({ config, records, policy, recorder, redaction, store, keys }: Parts): Approvals {
  const { ledger, leases } = records;
  const people = (): ReturnType<PolicyPorts['people']> => policy.people();
  const desk = createApprovalDesk({ ledger, leases, people, recorder, redaction, store, clock: systemClock });
  const page = { url: config.publicUrl };
  return {
    desk,
    page,
    async link(run) {
      const path = page.url === null ? null : await desk.link(run);
      return path && new URL(path, page.url!).href;
    },
    async reachable({ principal }) {
      // Without a proof, who asks is the user of the terminal; anybody else's runs that user may answer for.
      if (principal.kind !== 'os') return true;
      const now = systemClock.now();
      return (await keys.list()).some((key) => isOpen(key, now) && may(key, 'approver'));
    },
  };
}
