import { expect, it } from 'vitest';
import { storeRun } from '../support/fill-ledger.ts';
import type { ApprovalPlace } from './approvals.contract.ts';

const NOW = Date.UTC(2026, 8, 1);
const KINDS = ['run_started', 'run_finished'];

/** What every ledger promises about how far its webhooks have come. */
export function webhookQueueContract(name: string, open: () => Promise<ApprovalPlace>): void {
  it(`a webhook on ${name} begins behind what is there, has one turn at a time, and keeps its place`, async () => {
    const place = await open();
    const [one, two] = [place.connect(), place.connect()];
    try {
      await storeRun(one, { requested_at: NOW });
      const { events: before } = await one.ledger.status();
      for (const { webhooks } of [one, two]) expect(await webhooks.take('w', 60_000)).toBeNull();
      const run = await storeRun(one, { requested_at: NOW + 1 });
      const turns = await Promise.all([one, two].map(({ webhooks }) => webhooks.take('w', 60_000)));
      const [turn] = turns.filter((taken) => taken !== null);
      expect(turns.filter((taken) => taken === null)).toHaveLength(1);
      expect(turn).toEqual({ seq: before, attempts: 0, fence: 1 });
      const news = await two.webhooks.after(before, 10);
      expect(news.map(({ kind, run_id }) => [kind, run_id])).toEqual(KINDS.map((kind) => [kind, run.id]));
      expect(await two.webhooks.after(before, 1)).toEqual(news.slice(0, 1));
      expect(await two.webhooks.settle('w', 9, { seq: 0, attempts: 0, due_in_ms: 0 })).toBe(false);
      const failed = { seq: before, attempts: 1, due_in_ms: 60_000 };
      expect(await one.webhooks.settle('w', 1, failed)).toBe(true);
      expect(await two.webhooks.take('w', 60_000)).toBeNull();
      expect(await two.webhooks.settle('w', 1, { seq: news[0]!.seq, attempts: 0, due_in_ms: 0 })).toBe(true);
      expect(await two.webhooks.take('w', -1)).toEqual({ seq: news[0]!.seq, attempts: 0, fence: 2 });
      // Whoever had the turn took too long.
      expect(await one.webhooks.take('w', 60_000)).toMatchObject({ fence: 3 });
      expect(await two.webhooks.settle('w', 2, { seq: 0, attempts: 0, due_in_ms: 0 })).toBe(false);
      expect(await two.webhooks.settle('w', 3, { seq: news[1]!.seq, attempts: 0, due_in_ms: 0 })).toBe(true);
      // Nothing is behind it any more.
      expect(await one.webhooks.take('w', 60_000)).toBeNull();
    } finally {
      await Promise.all([one.close(), two.close()]);
      await place.remove();
    }
  });
}
