import { describe, expect, it } from 'vitest';
import type { StoredEvent } from '../../src/ledger/chain.ts';
import { agreed, columnsOf, events, located, set, tampered, useHistory } from './ledger-tampering.ts';

useHistory();

describe('the table of calls', () => {
  it('every column of every row', () => {
    for (const field of columnsOf('calls').filter((name) => !['seq', 'position'].includes(name))) {
      for (const position of [0, 1]) {
        const value = ['at', 'duration_ms'].includes(field) ? 424242 : 'x';
        const outcome = tampered(set('calls', field, `position = ${position}`, value));
        located(outcome, { fault: 'row_changed', seq: batch().seq, table: 'calls', field });
        agreed(outcome, batch().seq);
      }
    }
  });

  it('rows that are gone, moved or added', () => {
    const { seq } = batch();
    const gone = tampered((db) => db.exec('DELETE FROM calls WHERE position = 1'));
    located(gone, { fault: 'row_missing', seq, table: 'calls' });
    agreed(gone, seq);
    for (const other of [seq - 1, 999, -1]) {
      const moved = tampered((db) => db.exec(`UPDATE calls SET seq = ${other}`));
      located(moved, { fault: 'row_missing', seq, table: 'calls' });
      located(moved, { fault: 'row_unexpected', seq: other, table: 'calls' });
      agreed(moved, seq, other);
    }
    const added = tampered(set('calls', 'position', 'position = 1', 2));
    located(added, { fault: 'row_unexpected', seq, table: 'calls' });
    agreed(added, seq);
  });

  it('what was taken out in both places is found by its number, what was left in the table by its place', () => {
    const { seq } = batch();
    const erase = "DELETE FROM event_private WHERE name IN ('0.principal', '0.arguments')";
    const columns = 'subject = NULL, display = NULL, principal = NULL, arguments = NULL';
    const outcome = tampered((db) => db.exec(`${erase}; UPDATE calls SET ${columns} WHERE position = 0`));
    expect(outcome.findings).toEqual([expect.objectContaining({ fault: 'private_missing' })]);
    expect(outcome.again).toEqual([{ what: 'erased in silence', seq: 0 }]);
    expect(outcome.erased).toEqual([{ seq, run_id: '', names: ['0.arguments', '0.principal'] }]);
    const left = tampered((db) => db.exec(erase));
    for (const field of ['subject', 'display', 'principal', 'arguments']) {
      located(left, { fault: 'row_changed', seq, table: 'calls', field });
    }
    agreed(left, seq);
  });
});

function batch(): StoredEvent {
  return events.find(({ kind }) => kind === 'calls_recorded')!;
}
