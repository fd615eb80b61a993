import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Announcement, NewCall, RunnerExchange } from '../../src/runners/exchange.ts';

/** The same exchange as two servers see it; they are one where there can be only one. */
export interface Meeting {
  here: RunnerExchange;
  there: RunnerExchange;
  close(): Promise<void>;
}

const A_MINUTE = 60_000;

function runner(name: string, more: Partial<Announcement> = {}): Announcement {
  return {
    ...{ name, key: 'key-1', labels: { site: 'berlin' }, version: '1' },
    engine: { kind: 'docker', available: true, version: '24', problem: null },
    workspaces: [
      { organization: 'acme', name: 'shop', alias: [], environment: null, blocks: ['web'], aliases: [] },
    ],
    ...more,
  };
}

/** What every exchange promises to servers and runners. */
export function exchangeContract(name: string, open: () => Promise<Meeting>): void {
  describe(`the exchange of ${name}`, () => {
    let meeting: Meeting;
    beforeAll(async () => {
      meeting = await open();
    });
    afterAll(() => meeting.close());

    let calls = 0;
    const call = (to: string, more: Partial<NewCall> = {}): NewCall => ({
      ...{
        id: `call-${calls++}`,
        runner: to,
        body: { tool: 'plan_action', ключ: '\u0000☂' },
        valid_ms: A_MINUTE,
      },
      ...more,
    });
    const find = (known: string) => async (): Promise<unknown> =>
      (await meeting.there.runners()).find((one) => one.name === known);

    it('a runner is known to all servers, and its name belongs to its key', async () => {
      const { here, there } = meeting;
      expect(await there.touch('ada', 'key-1')).toBe(false);
      expect(await here.enter(runner('ada'))).toBe(true);
      expect(await find('ada')()).toEqual({
        ...runner('ada'),
        presence: 'here',
        silent_ms: expect.any(Number),
      });
      expect(await there.enter(runner('ada', { key: 'key-2' }))).toBe(false);
      expect(await there.touch('ada', 'key-2')).toBe(false);
      await there.leave('ada', 'key-2', 'ended');
      expect(await there.enter(runner('ada', { labels: {} }))).toBe(true);
      expect(await find('ada')()).toMatchObject({ labels: {}, presence: 'here' });
    });

    it('one whose connection broke keeps its name, one that ended does not', async () => {
      const { here, there } = meeting;
      await here.enter(runner('bea'));
      await there.leave('bea', 'key-1', 'broken');
      expect(await find('bea')()).toMatchObject({ presence: 'broken' });
      expect(await there.enter(runner('bea', { key: 'key-2' }))).toBe(false);
      expect(await here.touch('bea', 'key-1')).toBe(true);
      expect(await find('bea')()).toMatchObject({ presence: 'here' });
      await here.leave('bea', 'key-1', 'ended');
      expect(await there.enter(runner('bea', { key: 'key-2' }))).toBe(true);
    });

    it('a call reaches its runner once, through any server, and its answer whoever waits for it', async () => {
      const { here, there } = meeting;
      const [mine, other] = [call('cy'), call('dan')];
      const woken = there.changed(A_MINUTE);
      await Promise.all([here.put(mine), here.put(other)]);
      await woken;
      const { valid_ms: _, ...open } = { ...mine, run_id: null, answer: null };
      expect(await there.take('cy', 'poll-1')).toEqual([open]);
      expect(await here.take('cy', 'poll-2')).toEqual([]);
      // Asked again after an answer that was lost.
      expect(await there.take('cy', 'poll-1')).toEqual([open]);
      await there.giveBack('poll-1');
      expect(await here.take('cy', 'poll-2')).toEqual([open]);
      const answered = here.changed(A_MINUTE);
      expect(await there.answer(mine.id, 'dan', { result: 1 })).toBe(false);
      expect(await there.answer(mine.id, 'cy', { result: 1 })).toBe(true);
      await answered;
      expect(await there.answer(mine.id, 'cy', { result: 2 })).toBe(true);
      expect(await here.find(mine.id)).toEqual({ ...open, answer: { result: 1 } });
      expect(await here.remove(mine.id)).toEqual({ ...open, answer: { result: 1 } });
      expect(await there.remove(mine.id)).toBeNull();
      expect(await there.find(mine.id)).toBeNull();
      expect(await there.answer(mine.id, 'cy', { result: 3 })).toBe(false);
    });

    it('a call has one run, and ends by itself', async () => {
      const { here, there } = meeting;
      const [mine, late] = [call('eve'), call('eve', { valid_ms: 0 })];
      await here.put(mine);
      await here.put(late);
      expect(await there.launched(mine.id, 'run-1')).toBe(true);
      expect(await here.launched(mine.id, 'run-1')).toBe(true);
      expect(await here.launched(mine.id, 'run-2')).toBe(false);
      expect(await here.find(mine.id)).toMatchObject({ run_id: 'run-1' });
      expect((await there.take('eve', 'poll')).map(({ id }) => id)).toEqual([mine.id]);
      expect(await there.find(late.id)).toBeNull();
      expect(await there.launched(late.id, 'run-3')).toBe(false);
      expect(await there.answer(late.id, 'eve', {})).toBe(false);
    });
  });
}
