import { expect, it } from 'vitest';
import { openSqlite } from '../support/fill-ledger.ts';
import { EVERY_KIND, storeEveryKind } from './ledger-every-kind.ts';
import { COLUMNS, memberChanges } from './ledger-mutations.ts';
import { agreed, events, located, set, tampered, useHistory } from './ledger-tampering.ts';

// Every kind of event that FORMAT.md lists, behind a beginning that was pruned.

useHistory(async (home) => {
  const records = openSqlite(home);
  try {
    return await storeEveryKind(records, home);
  } finally {
    await records.close();
  }
});

it('an untouched ledger is in order, and has every kind of event', () => {
  expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set(EVERY_KIND));
  expect(tampered(() => undefined)).toMatchObject({ findings: [], again: [] });
});

it('every column and every member of every event: changed, and found where it is, by both programs', () => {
  for (const event of events) {
    const changes = [
      ...COLUMNS.map(({ column, other }) => ({ column, value: other(event) })),
      ...memberChanges(event),
    ];
    for (const { column, value } of changes) {
      const outcome = tampered(set('events', column, `seq = ${event.seq}`, value));
      located(outcome, { fault: 'event_changed', seq: event.seq });
      agreed(outcome, event.seq);
    }
  }
});

it('every event, deleted; every private value, changed', () => {
  for (const { seq, kind } of events.slice(0, -1)) {
    const outcome = tampered((db) => db.exec(`DELETE FROM events WHERE seq = ${seq}`));
    located(outcome, { fault: 'event_missing', to_seq: seq });
    // Without what tells of the pruning, all of the beginning is missing.
    agreed(outcome, kind === 'ledger_pruned' ? 1 : seq);
  }
  for (const { seq, commitments } of events) {
    for (const name of Object.keys(JSON.parse(commitments))) {
      const gone = tampered((db) =>
        db.exec(`UPDATE event_private SET value = value || ' ' WHERE seq = ${seq} AND name = '${name}'`),
      );
      const erased = gone.erased.some((one) => one.seq === seq && one.names.includes(name));
      if (erased) continue;
      located(gone, { fault: 'private_changed', seq, field: name });
      agreed(gone, seq);
    }
  }
});
