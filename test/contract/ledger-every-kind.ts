import { BUNDLE_IMPORTED } from '../../src/ledger/archive.ts';
import { createApiKeys } from '../../src/ledger/api-keys.ts';
import type { Records } from '../../src/history/records.ts';
import { intentFor, mintId, storeRun } from '../support/fill-ledger.ts';
import { foreignRun, NOON, page } from '../support/foreign.ts';
import { storeHistoryIn } from './ledger-history.ts';
import { pruneBefore } from './ledger-prune.contract.ts';

/** All that FORMAT.md lists. */
export const EVERY_KIND = [
  'run_requested', 'run_approval_asked', 'run_approval_answered', 'run_queued', 'run_started', 'run_adopted', 'run_cancel_requested', 'run_finished',
  'run_alias_added', 'run_submitted', 'run_seen_elsewhere', 'run_imported', 'bundle_imported', 'calls_recorded', 'page_mirrored',
  'key_created', 'key_revoked', 'policy_loaded', 'person_erased', 'ledger_pruned',
] as const; // prettier-ignore

const BY = { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } as const;
const LONG_AGO = Date.UTC(2020, 0, 1);

/** A ledger with an event of each kind behind a beginning that was pruned. Answers the runs that have events. */
export async function storeEveryKind(records: Records, home: string): Promise<string[]> {
  await storeRun(records, { requested_at: LONG_AGO });
  await pruneBefore({ records, home }, LONG_AGO + 86_400_000);
  const runs = await storeHistoryIn(records);
  const [first] = runs as [string];
  const api = { endpoint: 'main', action_run_id: 'remote-1', url: null, submission: 'delivered' };
  await records.ledger.append({ kind: 'run_submitted', run_id: first, at: NOON, facts: { api }, private: {} });
  const { id: queued } = await storeRun(records, { requested_at: NOON, status: 'pending', block: 'queued' });
  await records.ledger.append({ kind: 'run_queued', run_id: queued, at: NOON, facts: { status_reason: 'queued' }, private: {} });
  await records.mirror.storePage(page([foreignRun('here', {}, [first]), foreignRun('there')]));
  await storeApproved(records, runs.at(-1)!);
  const imported = mintId();
  const { event } = intentFor({ id: imported, requested_at: NOON, status: 'success', display: 'Cy', source: 'ingest' });
  await records.archive.import({
    bundle: { kind: BUNDLE_IMPORTED, run_id: '', at: NOON, facts: { bundle: 'b', ledger: 'l', size: 1 }, private: {} },
    runs: [{ ...event, kind: 'run_imported', facts: { ...event.facts, status: 'success', launched: true } }],
  });
  const keys = createApiKeys(records.house, { now: () => NOON });
  const { key } = await keys.create({ name: 'ci', roles: ['reader'], scope: null, expires_at: null, by: BY });
  await keys.revoke(key.id, BY);
  const policy = { digest: 'd', rules: 1, file: '/etc/policy.yml' };
  await records.house.add({ kind: 'policy_loaded', run_id: '', at: NOON, facts: policy, private: { principal: { ...BY } } });
  await records.upkeep.erase({ subject: 'cy', logs: false, at: NOON, by: { principal: { ...BY } } });
  return [...runs, imported];
} // prettier-ignore

/** Somebody agrees to an open run. */
async function storeApproved(records: Records, run_id: string): Promise<void> {
  const approval_request = {
    count: 1, role: null, strength: 'key', nonce: 'n', plan_digest: 'd', rule: 'r', why: 'w', asked_at: NOON,
    expires_at: NOON + 1, again: null, shown: ['Block: db'], drift: [], mode: null, alone: true,
  }; // prettier-ignore
  const facts = { approval_request, approvals: [], approval: null, approved_at: null };
  await records.ledger.append({ kind: 'run_approval_asked', run_id, at: NOON, facts, private: {} });
  const principal = { kind: 'key', issuer: 'l', subject: 'k', display: 'Bea' } as const;
  const answered = await records.ledger.answer({
    ...{
      run_id,
      nonce: 'n',
      plan_digest: 'd',
      outcome: 'approved',
      reason: 'fine',
      at: NOON,
      now: NOON,
      proof: 'key',
    },
    ...{ approver: { principal, roles: ['approver'] }, person: 'bea', requester_person: 'ada' },
  });
  if ('refused' in answered) throw new Error(answered.refused);
}
