import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/ledger/verify.ts';
import { storeRun } from '../support/fill-ledger.ts';
import { BEGIN, DAY, type PruningPlace } from './ledger-prune.contract.ts';

const WHOLE = { from: null, known: [] };
const NUMBERS = ['exit_code', 'state', 'bucket', 'requested_at', 'finished_at', 'duration_ms'];
const TERMS = ['organization', 'place', 'environment', 'block', 'release', 'origin', 'action', 'crew', 'host',
  'client', 'source', 'said', 'unit']; // prettier-ignore

/** The tables that questions about many runs read: a change of any is found, on any database. */
export function countsContract(name: string, open: () => Promise<PruningPlace>): void {
  describe(`verifying the counts of a ledger on ${name}`, () => {
    let place: PruningPlace;
    let runs: string[];
    beforeEach(async () => {
      place = await open();
      runs = [];
      for (let day = 0; day < 4; day++) {
        const past = { requested_at: BEGIN + day * DAY, display: `U${day % 2}`, reason: 'why', environment: 'prod',
          block_version: '1', block_from: 'acme/db', duration_ms: 1_000 } as const; // prettier-ignore
        runs.push((await storeRun(place.records, past)).id);
      }
    });
    afterEach(() => place.remove());

    const found = async (): Promise<Finding[]> => (await place.records.check.verify(WHOLE)).findings;
    /** Found, and gone when it is put back. */
    const tampered = async (change: string, back: string): Promise<Finding[]> => {
      await place.tamper(change);
      const findings = await found();
      await place.tamper(back);
      return findings;
    };

    it('finds nothing in an untouched one, whose counts are not empty', async () => {
      expect(await found()).toEqual([]);
      await expect(place.tamper('DELETE FROM run_counts')).resolves.toBeUndefined();
      const findings = await found();
      expect(findings.length).toBeGreaterThan(40);
      for (const one of findings) expect(one).toMatchObject({ fault: 'row_missing', table: 'run_counts' });
    });

    it('locates each changed number of a run', async () => {
      const where = `WHERE start = ${BEGIN + DAY}`;
      for (const column of NUMBERS) {
        const findings = await tampered(
          `UPDATE narrow_runs SET ${column} = ${column} + 1 ${where}`,
          `UPDATE narrow_runs SET ${column} = ${column} - 1 ${where}`,
        );
        expect(findings, column).toContainEqual(
          expect.objectContaining({ fault: 'row_changed', run_id: runs[1], table: 'narrow_runs', field: column }),
        );
      }
      for (const column of TERMS) {
        const findings = await tampered(
          `UPDATE narrow_runs SET ${column} = ${column} + 1000 ${where}`,
          `UPDATE narrow_runs SET ${column} = ${column} - 1000 ${where}`,
        );
        expect(findings, column).toContainEqual(
          expect.objectContaining({ fault: 'row_changed', run_id: runs[1], table: 'narrow_runs', field: column }),
        );
      }
      expect(await found()).toEqual([]);
    }); // prettier-ignore

    it('locates runs that are gone, moved or added', async () => {
      const moved = await tampered(
        `UPDATE narrow_runs SET start = start + 1 WHERE start = ${BEGIN}`,
        `UPDATE narrow_runs SET start = start - 1 WHERE start = ${BEGIN + 1}`,
      );
      expect(moved).toContainEqual(expect.objectContaining({ fault: 'row_missing', run_id: runs[0], table: 'narrow_runs' }));
      expect(moved).toContainEqual(expect.objectContaining({ fault: 'row_unexpected', table: 'narrow_runs' }));
      const renumbered = await tampered(
        `UPDATE runs SET n = 999 WHERE id = '${runs[2]}'`,
        `UPDATE runs SET n = (SELECT n FROM narrow_runs WHERE start = ${BEGIN + 2 * DAY}) WHERE id = '${runs[2]}'`,
      );
      expect(renumbered).toContainEqual(expect.objectContaining({ fault: 'row_missing', run_id: runs[2] }));
      expect(renumbered).toContainEqual(expect.objectContaining({ fault: 'row_unexpected', table: 'narrow_runs' }));
      await place.tamper(`DELETE FROM narrow_runs WHERE start = ${BEGIN}`);
      const gone = await found();
      expect(gone).toContainEqual(expect.objectContaining({ fault: 'row_missing', run_id: runs[0], table: 'narrow_runs' }));
      expect(gone).toContainEqual(expect.objectContaining({ fault: 'row_unexpected', table: 'run_counts', field: 'cube 0' }));
    }); // prettier-ignore

    it('locates each changed term', async () => {
      for (const kind of TERMS) {
        const findings = await tampered(
          `UPDATE terms SET value = 'x' || value WHERE kind = '${kind}'`,
          `UPDATE terms SET value = substr(value, 2) WHERE kind = '${kind}'`,
        );
        expect(findings, kind).toContainEqual(
          expect.objectContaining({ fault: 'row_changed', table: 'narrow_runs', field: kind }),
        );
        const other = await tampered(
          `UPDATE terms SET kind = 'x' || kind WHERE kind = '${kind}'`,
          `UPDATE terms SET kind = '${kind}' WHERE kind = 'x${kind}'`,
        );
        expect(other, kind).toContainEqual(expect.objectContaining({ table: 'narrow_runs', field: kind }));
      }
      expect(await found()).toEqual([]);
    });

    it('locates each end of a unit that is changed, gone or added', async () => {
      const of = (fault: string): object => expect.objectContaining({ fault, table: 'unit_spans' }) as object;
      for (const column of ['first_run', 'last_run', 'first_success', 'last_success', 'environment', 'origin', 'organization', 'place', 'block', 'release']) {
        const changed = await tampered(
          `UPDATE unit_spans SET ${column} = ${column} + 1 WHERE action = 0`,
          `UPDATE unit_spans SET ${column} = ${column} - 1 WHERE action = 0`,
        );
        expect(changed, column).toEqual([of('row_changed')]);
      }
      for (const column of ['unit', 'action']) {
        const moved = await tampered(
          `UPDATE unit_spans SET ${column} = ${column} + 500 WHERE action <> 0`,
          `UPDATE unit_spans SET ${column} = ${column} - 500 WHERE action <> 0`,
        );
        expect(moved, column).toEqual(expect.arrayContaining([of('row_missing'), of('row_unexpected')]));
      }
      expect(await found()).toEqual([]);
      await place.tamper('DELETE FROM unit_spans');
      expect(await found()).toEqual([of('row_missing'), of('row_missing')]);
    }); // prettier-ignore

    it('locates each count that is changed, gone or added, and counts that cancel each other out', async () => {
      const cubes = [0, 4, 17, 20, 24, 37, 42];
      for (const cube of cubes) {
        const findings = await tampered(
          `UPDATE run_counts SET runs = runs + 1 WHERE cube = ${cube}`,
          `UPDATE run_counts SET runs = runs - 1 WHERE cube = ${cube}`,
        );
        const fault = { fault: 'row_changed', table: 'run_counts', field: `cube ${cube}` };
        expect(findings, `${cube}`).toContainEqual(expect.objectContaining(fault));
        expect(findings.every(({ field }) => field === `cube ${cube}`)).toBe(true);
        for (const column of ['a', 'b', 'c', 'slot', 'state']) {
          const moved = await tampered(
            `UPDATE run_counts SET ${column} = ${column} + 500 WHERE cube = ${cube}`,
            `UPDATE run_counts SET ${column} = ${column} - 500 WHERE cube = ${cube}`,
          );
          expect(moved.map((one) => one.fault), `${cube} ${column}`).toEqual(expect.arrayContaining(['row_missing', 'row_unexpected']));
        }
      }
      const other = await tampered(
        'INSERT INTO run_counts (cube, a, b, c, slot, state, runs) VALUES (999, 0, 0, 0, 0, 0, 1)',
        'DELETE FROM run_counts WHERE cube = 999',
      );
      expect(other).toMatchObject([{ fault: 'row_unexpected', field: 'cube 999' }]);
      const later = await tampered(
        `UPDATE meta SET value = '${BEGIN + DAY}' WHERE name = 'counted_until'`,
        `UPDATE meta SET value = '${BEGIN + 3 * DAY - 3_600_000}' WHERE name = 'counted_until'`,
      );
      expect(later).toContainEqual(expect.objectContaining({ fault: 'row_unexpected', table: 'run_counts' }));
      expect(await found()).toEqual([]);
      await place.tamper(`UPDATE run_counts SET runs = runs + 1 WHERE cube = 0 AND slot = (SELECT min(slot) FROM run_counts WHERE cube = 0);
        UPDATE run_counts SET runs = runs - 1 WHERE cube = 0 AND slot = (SELECT max(slot) FROM run_counts WHERE cube = 0)`);
      expect(await found()).toHaveLength(2);
    }); // prettier-ignore
  });
}
