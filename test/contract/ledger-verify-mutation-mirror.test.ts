import { expect, it } from 'vitest';
import type { MirroredRow } from '../../src/ledger/mirrored-row.ts';
import { mirroredLeaf } from '../../src/ledger/mirrored-row.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { foreignRun, NOON, page } from '../support/foreign.ts';
import { agreed, columnsOf, located, set, tampered, useHistory } from './ledger-tampering.ts';

// The same somebody as elsewhere, at the rows that were mirrored.

const CHANGED = foreignRun('a', { status: 'failed', exit_code: 2 });

useHistory(async (home) => {
  const { mirror, close } = openSqlite(home);
  const first = await mirror.storePage(page([foreignRun('a', { status: 'running', exit_code: null }), foreignRun('b', { started_at: NOON + 90_000 })]));
  await mirror.storePage(page([CHANGED, foreignRun('c', { started_at: NOON + 900_000 })]));
  await close();
  return first.run_ids;
}); // prettier-ignore

const PLACES = [[1, 0], [1, 1], [2, 0], [2, 1]] as const; // prettier-ignore
const at = ([seq, position]: readonly [number, number]): string => `seq = ${seq} AND position = ${position}`;

it('an untouched ledger is in order', () => {
  expect(tampered(() => undefined)).toMatchObject({ findings: [], again: [], checked: { runs: 3 } });
});

it('a changed column, of every row', () => {
  for (const column of columnsOf('mirrored').filter((name) => !['seq', 'position'].includes(name))) {
    for (const place of PLACES) {
      const value = column === 'current' ? 7 : /^(facts|commitments|private)$/.test(column) ? '{"x":1}' : 'x';
      const outcome = tampered(set('mirrored', column, at(place), value));
      const fault = column === 'private' ? 'private_unexpected' : 'row_changed';
      located(outcome, { fault, table: 'mirrored', seq: place[0] });
      agreed(outcome, place[0]);
    }
  }
});

it('a row that is gone, that was inserted, or that changed places', () => {
  for (const place of PLACES) {
    const gone = tampered((db) => db.exec(`DELETE FROM mirrored WHERE ${at(place)}`));
    located(gone, { fault: 'row_missing', table: 'mirrored', seq: place[0] });
    agreed(gone, place[0]);
    const moved = tampered(set('mirrored', 'position', at(place), 9));
    located(moved, { fault: 'row_unexpected', table: 'mirrored', seq: place[0] });
    agreed(moved, place[0]);
  }
  const copied = tampered((db) =>
    db.exec(`INSERT INTO mirrored SELECT 77, 0, source, endpoint, 'new', run_id, was, duplicate_of, 1, facts, commitments, private FROM mirrored WHERE ${at([1, 1])}`),
  ); // prettier-ignore
  located(copied, { fault: 'row_unexpected', table: 'mirrored', seq: 77 });
  agreed(copied, 77);
});

it('a private value, and one that was taken out in silence', () => {
  const forged = tampered((db) => db.exec(`UPDATE mirrored SET private = replace(private, 'Bea', 'Eve') WHERE ${at([1, 1])}`));
  located(forged, { fault: 'private_changed', table: 'mirrored', seq: 1, field: 'principal' });
  agreed(forged, 1);
  const silent = tampered((db) => db.exec(`UPDATE mirrored SET private = '{}' WHERE ${at([1, 1])}`));
  located(silent, { fault: 'private_missing', table: 'mirrored' });
  expect(silent.again).toEqual([{ what: 'mirrored erased in silence', seq: 0 }]);
}); // prettier-ignore

it('a row and its mark: the event is chained, so the change shows there', () => {
  const outcome = tampered((db) => {
    const row = db.prepare(`SELECT * FROM mirrored WHERE ${at([2, 1])}`).get() as MirroredRow;
    const facts = row.facts.replace('"exit_code":0', '"exit_code":1');
    const before = mirroredLeaf(row).slice(0, 8);
    const after = mirroredLeaf({ ...row, facts }).slice(0, 8);
    set('mirrored', 'facts', at([2, 1]), facts)(db);
    db.exec(`UPDATE events SET facts = replace(facts, '${before}', '${after}') WHERE seq = 2`);
  });
  located(outcome, { fault: 'event_changed', seq: 2 });
  located(outcome, { fault: 'row_changed', table: 'mirrored', seq: 2 });
  agreed(outcome, 2);
});

it('a row of runs that its mirrored rows do not call for', () => {
  const outcome = tampered((db) => db.exec("UPDATE runs SET status = 'success' WHERE status = 'failed'"));
  located(outcome, { fault: 'row_changed', table: 'runs', field: 'status' });
});
