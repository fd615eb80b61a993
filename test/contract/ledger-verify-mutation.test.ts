import { copyFileSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { verify } from '../../src/adapters/sqlite/check.ts';
import { GENESIS, linkHash, type StoredEvent } from '../../src/ledger/chain.ts';
import {
  agreed, columnsOf, copy, events, located, original, runs, set, tampered, useHistory,
} from './ledger-tampering.ts'; // prettier-ignore

useHistory();

describe('an untouched ledger', () => {
  it('has every kind of event and is in order', () => {
    expect([...new Set(events.map(({ kind }) => kind))]).toHaveLength(7);
    const outcome = tampered(() => undefined);
    expect(outcome).toMatchObject({ findings: [], erased: [], again: [] });
    expect(outcome.checked).toMatchObject({ events: events.length, runs: 3 });
  });
});

describe('a changed column of an event', () => {
  const other: Record<string, (event: StoredEvent) => unknown> = {
    at: ({ at }) => at + 1,
    kind: ({ kind }) => (kind === 'run_started' ? 'run_adopted' : 'run_started'),
    run_id: ({ run_id }) => `${run_id.slice(0, -1)}${run_id.endsWith('0') ? '1' : '0'}`,
    facts: ({ facts }) => (facts === '{}' ? '{"status":"success"}' : facts.replace(/"([^"]+)":/, '"x$1":')),
    commitments: ({ commitments }) => (commitments === '{}' ? '{"reason":"00"}' : '{}'),
    prev: ({ prev }) => flipped(prev),
    hash: ({ hash }) => flipped(hash),
  };
  it.each(Object.keys(other))('%s, at every position', (column) => {
    for (const event of events) {
      const outcome = tampered(set('events', column, `seq = ${event.seq}`, other[column]!(event)));
      located(outcome, { fault: 'event_changed', seq: event.seq });
      agreed(outcome, event.seq);
      const named = ['kind', 'prev'].includes(column) || (column === 'hash' && event.seq < events.length);
      if (named) located(outcome, { seq: event.seq, field: column });
    }
  });

  it.each([
    ['white space', (text: string) => `${text.slice(0, -1)} }`],
    ['no JSON', (text: string) => text.slice(1)],
    ['bytes', (text: string) => Buffer.from(text)],
    ['a member twice', (text: string) => text.replace('{', `{"status":"pending",`)],
  ])('facts with %s', (_name, spell) => {
    const { seq, facts } = events[0]!;
    const outcome = tampered(set('events', 'facts', `seq = ${seq}`, spell(facts)));
    located(outcome, { fault: 'event_changed', seq });
    agreed(outcome, seq);
  });

  it('seq', () => {
    const last = events.length;
    const outcome = tampered(set('events', 'seq', `seq = ${last}`, last + 7));
    located(outcome, { fault: 'event_missing', seq: last, to_seq: last + 6 });
    agreed(outcome, last);
    located(tampered(set('events', 'seq', 'seq = 1', -1)), { fault: 'event_unexpected', seq: -1 });
  });
});

describe('a changed member of an event', () => {
  it.each(['facts', 'commitments'] as const)('%s: every one, at every position', (column) => {
    for (const event of events) {
      const members = JSON.parse(event[column]) as Record<string, unknown>;
      for (const name of Object.keys(members)) {
        const text = JSON.stringify({ ...members, [name]: different(members[name]) });
        const outcome = tampered(set('events', column, `seq = ${event.seq}`, text));
        located(outcome, { fault: 'event_changed', seq: event.seq });
        agreed(outcome, event.seq);
        if (column === 'commitments') located(outcome, { seq: event.seq, field: `commitments.${name}` });
      }
    }
  });

  it('with a hash that fits again: the link or the tables show it', () => {
    for (const event of events) {
      const facts = { ...JSON.parse(event.facts), status_reason: 'forged' };
      const link = { ...event, facts, commitments: JSON.parse(event.commitments) };
      const outcome = tampered((db) => {
        set('events', 'facts', `seq = ${event.seq}`, JSON.stringify(sorted(facts)))(db);
        set('events', 'hash', `seq = ${event.seq}`, linkHash(link))(db);
      });
      if (event.seq === events.length) located(outcome, { fault: 'row_changed', run_id: event.run_id });
      else located(outcome, { fault: 'link_broken', seq: event.seq + 1 });
      if (event.seq < events.length) agreed(outcome, event.seq + 1);
    }
  });
});

describe('events', () => {
  it('deleted, at every position', () => {
    for (const { seq, run_id } of events) {
      const outcome = tampered((db) => db.exec(`DELETE FROM events WHERE seq = ${seq}`));
      if (seq < events.length) {
        located(outcome, { fault: 'event_missing', seq, to_seq: seq });
        agreed(outcome, seq);
      } else {
        // A cut tail: what was derived from it is still there.
        located(outcome, { fault: 'private_unexpected', seq });
        located(outcome, { fault: 'row_unexpected', run_id, table: 'runs' });
      }
    }
  });

  it('deleted, the rest numbered anew', () => {
    for (const { seq } of events.slice(0, -1)) {
      const outcome = tampered((db) => {
        db.exec(`DELETE FROM events WHERE seq = ${seq}`);
        for (let next = seq + 1; next <= events.length; next++) {
          db.exec(`UPDATE events SET seq = ${next - 1} WHERE seq = ${next}`);
        }
      });
      located(outcome, { fault: 'event_changed', seq });
      agreed(outcome, seq);
    }
  });

  it('inserted, at every position', () => {
    for (const { seq } of events) {
      const outcome = tampered((db) => {
        for (let last = events.length; last >= seq; last--) {
          db.exec(`UPDATE events SET seq = ${last + 1} WHERE seq = ${last}`);
        }
        const prev = seq === 1 ? GENESIS : events[seq - 2]!.hash;
        const link = { seq, at: 5, kind: 'run_started', run_id: runs[0]!, facts: {}, commitments: {}, prev };
        db.prepare('INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)').run(
          seq, link.at, link.kind, link.run_id, '{}', '{}', prev, linkHash(link),
        ); // prettier-ignore
      });
      located(outcome, { fault: 'event_changed', seq: seq + 1 });
      agreed(outcome, seq + 1);
    }
  });

  it('swapped, every pair of neighbours and the ends', () => {
    const pairs = events.slice(1).map(({ seq }) => [seq - 1, seq] as const);
    for (const [a, b] of [...pairs, [1, events.length] as const]) {
      const outcome = tampered((db) => {
        db.exec(`UPDATE events SET seq = 999 WHERE seq = ${a}; UPDATE events SET seq = ${a} WHERE seq = ${b};
                 UPDATE events SET seq = ${b} WHERE seq = 999`);
      });
      located(outcome, { fault: 'event_changed', seq: a });
      located(outcome, { fault: 'event_changed', seq: b });
      agreed(outcome, a, b);
    }
  });

  it('truncated, every part in the middle', () => {
    for (let from = 1; from < events.length; from++) {
      for (let to = from; to < events.length; to++) {
        const outcome = tampered((db) => db.exec(`DELETE FROM events WHERE seq BETWEEN ${from} AND ${to}`));
        located(outcome, { fault: 'event_missing', seq: from, to_seq: to });
        agreed(outcome, from);
      }
    }
  });
});

describe('private values', () => {
  const each = (): { seq: number; name: string }[] =>
    events.flatMap(({ seq, commitments }) =>
      Object.keys(JSON.parse(commitments)).map((name) => ({ seq, name })),
    );
  it.each([
    ['value', '"somebody else"'],
    ['salt', Buffer.alloc(16)],
  ])('%s, every one', (column, value) => {
    for (const { seq, name } of each()) {
      const where = `seq = ${seq} AND name = '${name}'`;
      const outcome = tampered(set('event_private', column, where, value));
      located(outcome, { fault: 'private_changed', seq, field: name });
      agreed(outcome, seq);
    }
  });

  it.each(['name = CAST(name AS BLOB)', 'salt = hex(salt)', 'value = CAST(value AS BLOB)'])(
    'of another type: %s',
    (change) => {
      const outcome = tampered((db) =>
        db.exec(`UPDATE event_private SET ${change} WHERE seq = 1 AND name = 'client'`),
      );
      expect(outcome.findings.map(({ seq, table }) => ({ seq, table }))).toContainEqual({
        seq: 1,
        table: 'event_private',
      });
    },
  );

  it('two in the place of one, as the text in which they are read', () => {
    const outcome = tampered((db) =>
      db.exec(
        `UPDATE event_private SET value = value || char(31) || 'hostname' || char(31) ||
           (SELECT hex(salt) || char(31) || value FROM event_private WHERE seq = 1 AND name = 'hostname')
         WHERE seq = 1 AND name = 'client';
         DELETE FROM event_private WHERE seq = 1 AND name = 'hostname'`,
      ),
    );
    located(outcome, { fault: 'private_changed', seq: 1, field: 'client' });
    agreed(outcome, 1);
  });

  it('renamed or added', () => {
    const [{ seq, name }] = each() as [{ seq: number; name: string }];
    const outcome = tampered(set('event_private', 'name', `seq = ${seq} AND name = '${name}'`, 'other'));
    located(outcome, { fault: 'private_unexpected', seq, field: 'other' });
    agreed(outcome, seq);
    const stray = tampered((db) => db.exec("INSERT INTO event_private VALUES (777, 'reason', x'00', '1')"));
    located(stray, { fault: 'private_unexpected', seq: 777 });
    agreed(stray, 777);
  });

  it('taken out with all that was derived from them, without an event that tells of it', () => {
    const { seq, run_id } = events[1]!;
    const outcome = tampered((db) => {
      db.exec(`DELETE FROM event_private WHERE seq = ${seq} AND name = 'reason'`);
      const record = JSON.parse(
        db.prepare('SELECT record FROM runs WHERE id = ?').pluck().get(run_id) as string,
      );
      delete record.reason;
      db.prepare('UPDATE runs SET reason = NULL, record = ? WHERE id = ?').run(
        JSON.stringify(record),
        run_id,
      );
      db.prepare('UPDATE narrow_runs SET said = 0 WHERE n = (SELECT n FROM runs WHERE id = ?)').run(run_id);
    });
    expect(outcome.findings).toEqual([expect.objectContaining({ fault: 'private_missing' })]);
    expect(outcome.again).toEqual([{ what: 'erased in silence', seq: 0 }]);
    expect(outcome.erased).toEqual([{ seq, run_id, names: ['reason'] }]);
  });

  it('erased, while a table still shows the value', () => {
    const { seq, run_id } = events[1]!;
    const outcome = tampered((db) =>
      db.exec(`DELETE FROM event_private WHERE seq = ${seq} AND name = 'reason'`),
    );
    located(outcome, { fault: 'row_changed', run_id, table: 'runs', field: 'reason' });
    expect(outcome.erased_total).toBe(1);
  });
});

describe('tables that are derived', () => {
  it('runs: every column of every row', () => {
    for (const run_id of runs) {
      const columns =
        tampered(() => undefined) && columnsOf('runs').filter((name) => name !== 'id' && name !== 'n');
      for (const field of columns) {
        const where = `id = '${run_id}'`;
        const value = field === 'record' ? '{}' : /_at|exit_code|launched|_ms/.test(field) ? 424242 : 'x';
        const outcome = tampered(set('runs', field, where, value));
        if (field === 'record') located(outcome, { fault: 'row_changed', run_id, field: 'record.status' });
        else located(outcome, { fault: 'row_changed', run_id, table: 'runs', field });
        expect(outcome.again).toEqual([]);
      }
    }
  });

  it('runs: every member of every record', () => {
    for (const run_id of runs) {
      copyFileSync(original, copy);
      const db = new Sqlite(copy, { readonly: true });
      const record = JSON.parse(
        db.prepare('SELECT record FROM runs WHERE id = ?').pluck().get(run_id) as string,
      );
      db.close();
      for (const name of Object.keys(record)) {
        const text = JSON.stringify({ ...record, [name]: different(record[name]) });
        const outcome = tampered(set('runs', 'record', `id = '${run_id}'`, text));
        located(outcome, { fault: 'row_changed', run_id, table: 'runs', field: `record.${name}` });
      }
    }
  });

  it.each([
    ['runs', 'id', 'runs'],
    ['run_people', 'run_id', 'run_people'],
    ['run_aliases', 'run_id', 'run_aliases'],
  ])('%s: rows that are gone, or stand for another run', (table, column) => {
    const [run_id] = runs as [string];
    const gone = tampered((db) => db.exec(`DELETE FROM ${table} WHERE ${column} = '${run_id}'`));
    located(gone, { fault: 'row_missing', run_id, table: table as 'runs' });
    const moved = tampered((db) =>
      db.exec(`UPDATE ${table} SET ${column} = 'x' WHERE ${column} = '${run_id}'`),
    );
    located(moved, { fault: 'row_missing', run_id, table: table as 'runs' });
    located(moved, { fault: 'row_unexpected', run_id: 'x', table: table as 'runs' });
  });

  it('run_people and requests: rows that no event calls for', () => {
    const [run_id] = runs as [string];
    const person = tampered((db) => db.exec(`INSERT INTO run_people VALUES ('eve', '${run_id}', 'os_user')`));
    located(person, { fault: 'row_unexpected', run_id, table: 'run_people', field: 'os_user eve' });
    const key = tampered((db) => db.exec("UPDATE requests SET run_id = 'x'"));
    located(key, { fault: 'row_unexpected', run_id: 'x', table: 'requests' });
    const later = tampered((db) => db.exec('UPDATE requests SET at = at + 1'));
    located(later, { fault: 'row_changed', run_id, table: 'requests', field: 'at' });
  });
});

describe('the file', () => {
  it('without its triggers', () => {
    const outcome = tampered((db) => {
      db.exec('CREATE TABLE holder (x)');
    });
    expect(outcome.findings).toEqual([]);
    copyFileSync(original, copy);
    const db = new Sqlite(copy);
    db.exec('DROP TRIGGER events_never_change');
    const { findings } = verify(db, { from: null, known: [] }, () => undefined);
    db.close();
    expect(findings).toEqual([expect.objectContaining({ fault: 'storage' })]);
  });

  it('with an index that hides an event', () => {
    const outcome = tampered((db) => {
      db.unsafeMode();
      db.pragma('writable_schema = ON');
      const sql = db.prepare("SELECT sql FROM sqlite_master WHERE name = 'events_by_run'").pluck().get();
      db.exec("UPDATE sqlite_master SET sql = sql || ' WHERE seq <> 3' WHERE name = 'events_by_run'");
      db.pragma('writable_schema = RESET');
      db.exec('REINDEX events_by_run');
      db.pragma('writable_schema = ON');
      db.prepare("UPDATE sqlite_master SET sql = ? WHERE name = 'events_by_run'").run(sql);
      db.pragma('writable_schema = RESET');
    });
    located(outcome, { fault: 'storage' });
  });
});

function flipped(hash: string): string {
  return `${hash.startsWith('f') ? 'e' : 'f'}${hash.slice(1)}`;
}

function different(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return value === null ? 'forged' : null;
}

function sorted(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));
}
