import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cutAt, type Extent } from '../../src/ledger/prune.ts';

const extent = fc
  .record({ first: fc.integer({ min: 1, max: 30 }), length: fc.nat(12), open: fc.boolean() })
  .map(({ first, length, open }): Extent => ({ run_id: `${first}`, first, last: first + length, open }));

it('the cut is the last point that no run lies across and no open run lies before', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.array(extent, { maxLength: 12 }), (wanted, extents) => {
      const allowed = (size: number): boolean =>
        extents.every(({ first, last, open }) => first > size || (last <= size && !open));
      let best = wanted;
      while (!allowed(best)) best -= 1;
      const { size, held } = cutAt(wanted, extents);
      expect(size).toBe(best);
      expect(held === null).toBe(best === wanted);
    }),
  );
});
