import { describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { RunEvent } from '../../src/runs/action-run.ts';
import { NEW_SUBMISSION, NOT_DUE, type SubmissionState } from '../../src/runs/outbox.ts';
import { intentFor } from '../support/fill-ledger.ts';
import { owner, type LedgerKind } from './run-ledger.contract.ts';
import { usePlace } from './use-place.ts';

const NOW = Date.UTC(2026, 8, 1);

/** What every outbox promises: one report for each run that is to be reported, one deliverer at a time. */
export function outboxContract(kind: LedgerKind): void {
  describe(`the outbox on ${kind.name}`, () => {
    const { connect, at } = usePlace(kind);

    const request = async ({ ledger }: Records, endpoint: string | null = 'default', at = NOW): Promise<string> => {
      const intent = { ...intentFor({ requested_at: at, block: null }), submission: endpoint === null ? null : { endpoint } };
      await ledger.request(intent);
      return intent.event.run_id;
    };
    const event = (run_id: string, kind: RunEvent['kind'], facts: RunEvent['facts']): RunEvent => ({ kind, run_id, at: NOW + 5, facts, private: {} });
    const started = (run_id: string) => event(run_id, 'run_started', { status: 'running', launched: true, started_at: NOW + 5 });
    const ended = (run_id: string) => event(run_id, 'run_finished', { status: 'success', exit_code: 0, finished_at: NOW + 5 });
    const by = (pid: number, unsure: SubmissionState['unsure'] = null) => ({ owner: owner(pid), lease_until: NOW + 1_000, unsure });
    const state = (more: Partial<SubmissionState> = {}): SubmissionState => ({ ...NEW_SUBMISSION, ...more });

    it('gets an entry with the intent, in its transaction, or none', async () => {
      const intent = { ...intentFor({ requested_at: NOW }), submission: { endpoint: 'acme' } };
      await (await kind.request(at(), intent)).kill();
      const records = connect();
      const { run_id } = intent.event;
      expect(await records.outbox.list(10)).toEqual([
        { ...NEW_SUBMISSION, run_id, endpoint: 'acme', created_at: NOW, owner: null, lease_until: 0, fence: 0 },
      ]);
      const quiet = await request(records, null);
      expect(await records.outbox.find(quiet)).toBeNull();
      expect(await records.ledger.request({ ...intentFor({ requested_at: NOW }), exclusive: true, submission: { endpoint: 'acme' } })).toMatchObject({ outcome: 'active' });
      expect(await records.outbox.standing()).toEqual({ waiting: 1, dead: 0, oldest_at: NOW });
    });

    it('has it due when the run goes on, not before', async () => {
      const records = connect();
      const { outbox, ledger } = records;
      const [one, two, three] = [await request(records), await request(records), await request(records)];
      expect(await outbox.due(NOW + 1e9, 10, ['default'])).toEqual([]);
      await ledger.append(started(one));
      await ledger.append(ended(two));
      await ledger.append(event(three, 'run_cancel_requested', {}));
      expect((await outbox.due(NOW + 5, 10, ['default'])).map(({ run_id }) => run_id).sort()).toEqual([one, two].sort());
      expect(await outbox.due(NOW + 4, 10, ['default'])).toEqual([]);
      expect(await outbox.due(NOW + 5, 1, ['default'])).toHaveLength(1);
      expect(await outbox.due(NOW + 5, 10, ['other'])).toEqual([]);
      expect(await outbox.due(NOW + 5, 10, [])).toEqual([]);
    });

    it('gives a report to exactly one of six, and a stale one changes nothing', async () => {
      const connections = Array.from({ length: 6 }, connect);
      const run_id = await request(connections[0]!);
      await connections[0]!.ledger.append(ended(run_id));
      const seen = (await connections[0]!.outbox.find(run_id))!;
      const unsure = { step: 'report' as const, at: NOW };
      const taken = await Promise.all(connections.map(({ outbox }, n) => outbox.take(seen, by(n, unsure))));
      const won = taken.flatMap((one, n) => (one ? [{ n, one }] : []));
      expect(won).toHaveLength(1);
      expect(won[0]!.one).toMatchObject({ fence: 1, owner: owner(won[0]!.n), lease_until: NOW + 1_000, unsure });
      const next = (await connections[1]!.outbox.take(won[0]!.one, by(7, unsure)))!;
      const late = event(run_id, 'run_submitted', { api: { endpoint: 'default', action_run_id: 'late', url: null, submission: 'delivered' } });
      expect(await connections[2]!.outbox.settle(won[0]!.one, null, late)).toBe(false);
      expect((await connections[2]!.ledger.find(run_id))!.api).toBeNull();
      expect(await connections[3]!.outbox.settle(next, state({ phase: 'one_shot', due_at: NOW + 60_000, attempts: 1, problem: 'away' }), null)).toBe(true);
      expect(await connections[4]!.outbox.find(run_id)).toMatchObject({ fence: 2, owner: null, attempts: 1, problem: 'away', unsure: null, due_at: NOW + 60_000 });
    });

    it('records what was delivered on a closed run, with an alias, once', async () => {
      const records = connect();
      const { outbox, ledger } = records;
      const run_id = await request(records);
      await ledger.append(started(run_id));
      const api = { endpoint: 'default', action_run_id: 'remote-1', url: 'https://api/1', submission: 'started' };
      const held = (await outbox.take((await outbox.find(run_id))!, by(1)))!;
      const remote = { id: 'remote-1', url: 'https://api/1' };
      expect(await outbox.settle(held, state({ phase: 'started', remote }), event(run_id, 'run_submitted', { api }))).toBe(true);
      expect(await outbox.find(run_id)).toMatchObject({ phase: 'started', due_at: NOT_DUE, remote });
      expect(await ledger.find('remote-1')).toMatchObject({ id: run_id, status: 'running', api });
      await ledger.append(ended(run_id));
      const again = (await outbox.take((await outbox.due(NOW + 5, 1, ['default']))[0]!, by(2)))!;
      const delivered = { ...api, submission: 'delivered' };
      expect(await outbox.settle(again, null, event(run_id, 'run_submitted', { api: delivered }))).toBe(true);
      expect(await ledger.find(run_id)).toMatchObject({
        status: 'success', api: delivered, aliases: [{ source: 'api', endpoint: 'default', id: 'remote-1' }],
      });
      expect(await outbox.find(run_id)).toBeNull();
      expect(await outbox.standing()).toEqual({ waiting: 0, dead: 0, oldest_at: null });
      expect((await records.check.verify({ from: null, known: [] })).findings).toEqual([]);
    });

    it('has a report due that was let go of while its run ended', async () => {
      const records = connect();
      const { outbox, ledger } = records;
      const run_id = await request(records);
      await ledger.append(started(run_id));
      const held = (await outbox.take((await outbox.find(run_id))!, by(1)))!;
      await ledger.append(ended(run_id));
      await outbox.settle(held, state({ phase: 'started', remote: { id: 'r', url: null } }), null);
      expect(await outbox.due(NOW, 10, ['default'])).toHaveLength(1);
    });

    it('keeps what was given up until an operator brings it back', async () => {
      const records = connect();
      const { outbox, ledger } = records;
      const ids = [await request(records), await request(records)];
      for (const run_id of ids) {
        await ledger.append(ended(run_id));
        const held = (await outbox.take((await outbox.find(run_id))!, by(1)))!;
        await outbox.settle(held, state({ phase: 'dead', due_at: 0, attempts: 9, problem: 'no such block' }), null);
      }
      expect(await outbox.due(NOW + 1e9, 10, ['default'])).toEqual([]);
      expect(await outbox.standing()).toEqual({ waiting: 0, dead: 2, oldest_at: NOW });
      expect(await outbox.retry(['unknown'], NOW)).toBe(0);
      expect(await outbox.retry([ids[0]!], NOW)).toBe(1);
      expect(await outbox.due(NOW, 10, ['default'])).toMatchObject([{ run_id: ids[0], phase: 'one_shot', attempts: 0, problem: 'no such block' }]);
      expect(await outbox.retry(null, NOW)).toBe(1);
      expect(await outbox.standing()).toMatchObject({ waiting: 2, dead: 0 });
    });
  });
} // prettier-ignore
