import { expect, it } from 'vitest';
import type { StoredEvent } from '../../src/ledger/chain.ts';
import type { Finding } from '../../src/ledger/verify.ts';
import { describeWithPostgres } from '../support/postgres.ts';
import { EVERY_KIND, storeEveryKind } from './ledger-every-kind.ts';
import { COLUMNS, memberChanges } from './ledger-mutations.ts';
import { useHistory } from './ledger-tampering-postgres.ts';

describeWithPostgres('a ledger on PostgreSQL with every kind of event', () => {
  const { stored, tampered, sql } = useHistory(storeEveryKind);
  const read = async <T>(text: string): Promise<T[]> => (await stored().administrator.query(text)).rows as T[];
  const events = () => read<StoredEvent>('SELECT * FROM events ORDER BY seq');
  const found = (findings: readonly Finding[], place: Partial<Finding>, of: string): void =>
    expect(findings, of).toContainEqual(expect.objectContaining(place));
  const literal = (value: string | number): string => (typeof value === 'number' ? `${value}` : `'${value.replaceAll("'", "''")}'`);

  it('is in order', async () => {
    expect(new Set((await events()).map(({ kind }) => kind))).toEqual(new Set(EVERY_KIND));
    expect((await tampered(async () => undefined)).findings).toEqual([]);
  });

  it.each(EVERY_KIND)('every column and every member of %s: changed, and found where it is', async (kind) => {
    for (const event of (await events()).filter((one) => one.kind === kind)) {
      const changes = [...COLUMNS.map(({ column, other }) => ({ column, value: other(event) })), ...memberChanges(event)];
      for (const { column, value } of changes) {
        const change = sql(`UPDATE events SET ${column} = ${literal(value)} WHERE seq = ${event.seq}`);
        found((await tampered(change)).findings, { fault: 'event_changed', seq: event.seq }, `${column} ${value}`);
      }
    }
  });

  it('every event, deleted; every private value, changed', async () => {
    const all = await events();
    for (const { seq, kind } of all.slice(0, -1)) {
      found((await tampered(sql(`DELETE FROM events WHERE seq = ${seq}`))).findings, { fault: 'event_missing', to_seq: seq }, kind);
    }
    for (const { seq, name } of await read<{ seq: number; name: string }>('SELECT seq, name FROM event_private')) {
      for (const change of ["salt = '\\x00'", "value = value || ' '"]) {
        const { findings } = await tampered(sql(`UPDATE event_private SET ${change} WHERE seq = ${seq} AND name = '${name}'`));
        found(findings, { fault: 'private_changed', seq, field: name }, `${seq} ${name}`);
      }
    }
  });

  it('every column of every mirrored row; rows that are gone, moved or added', async () => {
    const rows = await read<{ seq: number; position: number }>('SELECT seq, position FROM mirrored');
    expect(rows).toHaveLength(2);
    const columns = await read<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns WHERE table_schema = '${stored().place.schema}'
       AND table_name = 'mirrored' AND column_name NOT IN ('seq', 'position')`,
    );
    expect(columns).toHaveLength(10);
    for (const { seq, position } of rows) {
      const at = `seq = ${seq} AND position = ${position}`;
      for (const { name } of columns) {
        const value = name === 'current' ? '7' : /^(facts|commitments|private)$/.test(name) ? `'{"x":1}'` : `'x'`;
        const { findings } = await tampered(sql(`UPDATE mirrored SET ${name} = ${value} WHERE ${at}`));
        const fault = name === 'private' ? 'private_unexpected' : 'row_changed';
        found(findings, { fault, table: 'mirrored', seq }, name);
      }
      found((await tampered(sql(`DELETE FROM mirrored WHERE ${at}`))).findings, { fault: 'row_missing', table: 'mirrored', seq }, 'gone');
      const moved = await tampered(sql(`UPDATE mirrored SET position = 9 WHERE ${at}`));
      found(moved.findings, { fault: 'row_unexpected', table: 'mirrored', seq }, 'moved');
      const added = await tampered(
        sql(`INSERT INTO mirrored SELECT 777, 0, source, endpoint, 'new', run_id, was, duplicate_of, 1, facts, commitments, private FROM mirrored WHERE ${at}`),
      );
      found(added.findings, { fault: 'row_unexpected', table: 'mirrored', seq: 777 }, 'added');
      const forged = await tampered(sql(`UPDATE mirrored SET private = replace(private, 'Bea', 'Eve') WHERE ${at}`));
      found(forged.findings, { fault: 'private_changed', table: 'mirrored', seq, field: 'principal' }, 'forged');
      const silent = await tampered(sql(`UPDATE mirrored SET private = '{}' WHERE ${at}`));
      found(silent.findings, { fault: 'private_missing', table: 'mirrored' }, 'erased in silence');
    }
    const run = await tampered(sql("UPDATE runs SET status = 'failed' WHERE source = 'api'"));
    found(run.findings, { fault: 'row_changed', table: 'runs', field: 'status' }, 'the run that is put together from them');
  });
}); // prettier-ignore
