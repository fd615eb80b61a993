import { beforeAll, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Finding } from '../../src/ledger/verify.ts';
import { describeWithPostgres } from '../support/postgres.ts';
import { finished, storeHistoryIn } from './ledger-history.ts';
import { intentFor, mintId } from '../support/fill-ledger.ts';
import { useHistory, WHOLE, type Stored } from './ledger-tampering-postgres.ts';

describeWithPostgres('a mutation of a ledger on PostgreSQL', () => {
  const history = useHistory(storeHistoryIn);
  const { tampered, sql } = history;
  let { server, place, records, administrator, runs, size } = {} as Stored;
  beforeAll(() => {
    ({ server, place, records, administrator, runs, size } = history.stored());
  });

  it('finds nothing in an untouched one, which is what the port says too', async () => {
    const report = await tampered(async () => undefined);
    expect(report).toMatchObject({ findings: [], erased: [], size, checked: { events: size, runs: 3 } });
    expect(await records.check.verify(WHOLE)).toEqual(report);
    expect(report.checked.private_values).toBeGreaterThan(10);
  });

  const event: Record<string, string> = {
    at: 'at + 1',
    kind: "CASE kind WHEN 'run_started' THEN 'run_adopted' ELSE 'run_started' END",
    run_id: "CASE run_id WHEN '' THEN '0' ELSE translate(run_id, '01', '10') END",
    facts: "CASE facts WHEN '{}' THEN '{\"status\":\"success\"}' ELSE regexp_replace(facts, '\"', '\"x') END",
    commitments: "CASE commitments WHEN '{}' THEN '{\"reason\":\"00\"}' ELSE '{}' END",
    prev: "translate(prev, '01ab', '10ba')",
    hash: "translate(hash, '0123456789', '1234567890')",
  };
  it.each(Object.keys(event))('locates a changed %s of an event, at every position', async (column) => {
    for (let seq = 1; seq <= size; seq++) {
      const report = await tampered(sql(`UPDATE events SET ${column} = ${event[column]} WHERE seq = ${seq}`));
      expect(report.findings, `${seq}`).toContainEqual(
        expect.objectContaining({ fault: 'event_changed', seq }),
      );
    }
  });

  it('locates events that are missing, inserted, swapped or cut off', async () => {
    for (let seq = 1; seq < size; seq++) {
      const gone = await tampered(sql(`DELETE FROM events WHERE seq = ${seq}`));
      expect(gone.findings).toContainEqual(expect.objectContaining({ fault: 'event_missing', seq }));
    }
    const columns = 'at, kind, run_id, facts, commitments, prev, hash, gen_random_uuid()';
    const added = await tampered(sql(`INSERT INTO events SELECT 0, ${columns} FROM events WHERE seq = 2`));
    expect(added.findings).toContainEqual(expect.objectContaining({ fault: 'event_unexpected', seq: 0 }));
    const swapped = await tampered(async () => {
      for (const [from, to] of [[3, -1], [4, 3], [-1, 4]]) await sql(`UPDATE events SET seq = ${to} WHERE seq = ${from}`)();
    }); // prettier-ignore
    expect(swapped.findings.map(({ seq }) => seq)).toEqual(expect.arrayContaining([3, 4]));
    const { head, root } = await records.check.verify(WHOLE);
    const anchored = { from: null, known: [{ name: 'the anchor', size, head, root }] };
    const cut = sql(`DELETE FROM events WHERE seq = ${size}`);
    expect((await tampered(cut, anchored)).findings).toContainEqual(
      expect.objectContaining({ fault: 'anchor_mismatch' }),
    );
  });

  it('locates changed and added private values, and tells erased ones from them', async () => {
    const values = await server.query(`SELECT seq::integer, name FROM ${place.schema}.event_private`);
    for (const { seq, name } of values) {
      for (const change of ["salt = '\\x00'", "value = value || ' '"]) {
        const report = await tampered(
          sql(`UPDATE event_private SET ${change} WHERE seq = ${seq} AND name = '${name}'`),
        );
        expect(report.findings).toContainEqual(
          expect.objectContaining({ fault: 'private_changed', seq, field: name }),
        );
      }
    }
    const joined = await tampered(async () => {
      await sql(
        `UPDATE event_private SET value = value || E'\\x1f' || 'hostname' || E'\\x1f' ||
           (SELECT encode(salt, 'hex') || E'\\x1f' || value FROM event_private WHERE seq = 1 AND name = 'hostname')
         WHERE seq = 1 AND name = 'client'`,
      )();
      await sql("DELETE FROM event_private WHERE seq = 1 AND name = 'hostname'")();
    });
    expect(joined.findings).toContainEqual(expect.objectContaining({ fault: 'private_changed', seq: 1, field: 'client' }));
    const added = await tampered(
      sql(`INSERT INTO event_private VALUES (3, 'reason', '\\x00', '1'), (99, 'reason', '\\x00', '1')`, 2),
    );
    expect(added.findings.filter(({ fault }) => fault === 'private_unexpected').map(({ seq }) => seq)).toEqual([3, 99]);
    const erased = await tampered(sql("DELETE FROM event_private WHERE seq = 1 AND name = 'reason'"));
    expect(erased.erased).toEqual([{ seq: 1, run_id: runs[0], names: ['reason'] }]);
  }); // prettier-ignore

  it('finds every changed column of every table that answers come from', async () => {
    const columns = await server.query(
      `SELECT table_name AS table, column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = $1 AND table_name IN ('runs', 'run_people', 'run_aliases') AND column_name NOT IN ('version', 'record', 'n')`,
      [place.schema],
    );
    expect(columns.length).toBeGreaterThan(25);
    const run = runs[0]!;
    for (const { table, name, type } of columns) {
      const changed = { bigint: `coalesce(${name}, 0) + 1`, integer: `coalesce(${name}, 0) + 1`, boolean: `NOT ${name}` }[type as string] ?? `coalesce(${name}, '') || 'a'`;
      const report = await tampered(sql(`UPDATE ${table} SET ${name} = ${changed} WHERE ${table === 'runs' ? 'id' : 'run_id'} = '${run}'`, null));
      expect(report.findings.length, `${table}.${name}`).toBeGreaterThan(0);
      expect(report.findings.every((one: Finding) => [table, 'narrow_runs'].includes(one.table!) && (one.run_id ?? run).startsWith(run)), `${table}.${name}`).toBe(true);
    }
    const record = await tampered(sql(`UPDATE runs SET record = replace(record, 'weekly', 'daily') WHERE id = '${run}'`));
    expect(record.findings).toMatchObject([{ fault: 'row_changed', run_id: run, field: 'record.reason' }]);
    for (const table of ['runs', 'run_people', 'run_aliases']) {
      const gone = await tampered(sql(`DELETE FROM ${table} WHERE ${table === 'runs' ? 'id' : 'run_id'} = '${run}'`, null));
      expect(gone.findings[0]).toMatchObject({ fault: 'row_missing', run_id: run, table });
    }
    const key = await tampered(sql('UPDATE requests SET at = at + 1'));
    expect(key.findings).toMatchObject([{ table: 'requests', run_id: run }]);
  }); // prettier-ignore

  it('finds every changed column of the table of calls, and rows that are gone, moved or added', async () => {
    const columns = await server.query(
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = $1 AND table_name = 'calls' AND column_name NOT IN ('seq', 'position')`,
      [place.schema],
    );
    expect(columns).toHaveLength(12);
    const seq = size - 1;
    for (const { name, type } of columns) {
      for (const position of [0, 1]) {
        const changed = type === 'bigint' ? `${name} + 1` : `coalesce(${name}, '') || 'a'`;
        const report = await tampered(sql(`UPDATE calls SET ${name} = ${changed} WHERE position = ${position}`));
        expect(report.findings).toMatchObject([{ fault: 'row_changed', seq, table: 'calls', field: name }]);
      }
    }
    const gone = await tampered(sql('DELETE FROM calls WHERE position = 0'));
    expect(gone.findings).toMatchObject([{ fault: 'row_missing', seq, table: 'calls' }]);
    for (const other of [seq - 1, 999, -1]) {
      const { findings } = await tampered(sql(`UPDATE calls SET seq = ${other}`, 2));
      expect(findings.filter(({ fault }) => fault === 'row_missing').map((one) => one.seq)).toEqual([seq, seq]);
      expect(findings.filter(({ fault }) => fault === 'row_unexpected').map((one) => one.seq)).toEqual([other, other]);
    }
    const added = await tampered(sql('UPDATE calls SET position = 2 WHERE position = 1'));
    expect(added.findings.map(({ fault }) => fault).sort()).toEqual(['row_missing', 'row_unexpected']);
  }); // prettier-ignore

  it('finds that the triggers were switched off, or weakened', async () => {
    for (const how of ['DISABLE TRIGGER', 'ENABLE TRIGGER', 'ENABLE REPLICA TRIGGER']) {
      await administrator.query(`ALTER TABLE events ${how} events_never_change`);
      expect((await records.check.verify(WHOLE)).findings).toMatchObject([{ fault: 'storage' }]);
    }
    await administrator.query('ALTER TABLE events ENABLE ALWAYS TRIGGER events_never_change');
    expect((await records.check.verify(WHOLE)).findings).toEqual([]);
  });

  it('goes on from an earlier one, keeps notes, and says where a run stands', async () => {
    const before = await records.check.verify(WHOLE);
    const note = { at: 5, result: 'sound', up_to: before.size, findings: 0 } as const;
    await records.check.note({ verification: note });
    const run = mintId();
    await records.ledger.request(intentFor({ id: run, requested_at: 1 }));
    await records.ledger.append(finished(run, { at: 2, status: 'failed', exit_code: 1 }));
    const { size: known, head, frontier } = before;
    const rest = await records.check.verify({ from: { size: known, head, frontier }, known: [] });
    expect(rest).toMatchObject({ findings: [], size: known + 2, checked: { events: 2, runs: 1 } });
    const whole = await records.check.verify(WHOLE);
    expect({ root: rest.root, frontier: rest.frontier }).toEqual({
      root: whole.root,
      frontier: whole.frontier,
    });
    const status = await records.ledger.status();
    expect(status).toMatchObject({ id: await records.check.id(), verification: note, anchor: null });
    expect((await records.ledger.proof(runs[0]!))!.verified).toEqual(note);
    const proof = await records.ledger.proof(run);
    expect(proof).toMatchObject({ events: [{ seq: known + 1 }, { seq: known + 2 }], verified: null });
    expect(proof!.head).toEqual(proof!.events[1]);
    expect(await records.ledger.proof('unknown')).toBeNull();
  });

  it('does not make a ledger where there is none', async () => {
    const empty = await server.place();
    const absent = createPostgresLedger({ url: empty.url, log: () => undefined });
    await expect(absent.check.id()).rejects.toMatchObject({ code: 'ledger_unavailable' });
    await expect(absent.check.verify(WHOLE)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    expect(await server.query('SELECT 1 FROM pg_tables WHERE schemaname = $1', [empty.schema])).toEqual([]);
    expect(await absent.ledger.status()).toMatchObject({ events: 0 });
    await absent.close();
    await empty.remove();
  });
});
