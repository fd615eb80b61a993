import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { timeLimit } from '../../src/shared/time-limit.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describe('a time limit', () => {
  it.each([
    ['alone', []],
    ['beside another signal', [new AbortController().signal]],
  ])('%s comes, although garbage was collected meanwhile', async (_, others) => {
    const limit = timeLimit(100, ...others);
    const aborted = once(limit, 'abort');
    for (let turn = 0; turn < 5; turn += 1) {
      collectGarbage();
      await setImmediate();
    }
    await aborted;
    expect(limit.reason).toMatchObject({ name: 'TimeoutError' });
  });

  it('ends with the first of the others', () => {
    const other = new AbortController();
    const limit = timeLimit(60_000, new AbortController().signal, other.signal);
    other.abort('enough');
    expect([limit.aborted, limit.reason]).toEqual([true, 'enough']);
  });
});
