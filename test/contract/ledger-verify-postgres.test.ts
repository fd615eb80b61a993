import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import type { Checkpoint } from '../../src/ledger/checkpoint.ts';
import { verifyLedger, type Verification } from '../../src/ledger/verify-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { storeHistoryIn } from './ledger-history.ts';

describeWithPostgres('verification of a ledger in PostgreSQL', () => {
  let server: PostgresServer;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let place: Place;
  let records: Records;
  let runs: string[];

  beforeAll(async () => {
    [server, folder] = await Promise.all([usePostgres(), tempFolder('verify-postgres')]);
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });
  beforeEach(async () => {
    place = await server.place();
    records = createPostgresLedger({ url: place.url, log: () => undefined });
    runs = await storeHistoryIn(records);
  });
  afterEach(async () => {
    await records.close();
    await place.remove();
  });

  const verify = (anchor: Checkpoint | null = null, incremental = false): Promise<Verification> =>
    verifyLedger(
      {
        check: records.check,
        keys: () => loadCheckpointKeys({ home: folder.path, given: null }),
        clock: systemClock,
        log: () => undefined,
      },
      { anchor: anchor && { checkpoint: anchor, name: 'the anchor' }, incremental },
    );

  /** As somebody who owns the database and knows its triggers. */
  const tamper = async (...statements: string[]): Promise<void> => {
    const client = new Client({ connectionString: place.url });
    await client.connect();
    try {
      await client.query(
        'ALTER TABLE events DISABLE TRIGGER ALL; ALTER TABLE event_private DISABLE TRIGGER ALL',
      );
      for (const statement of statements) await client.query(statement);
      await client.query(
        'ALTER TABLE events ENABLE ALWAYS TRIGGER events_never_change; ALTER TABLE event_private ENABLE ALWAYS TRIGGER event_private_never_changes',
      );
    } finally {
      await client.end();
    }
  };

  it('raises no false alarm, and is remembered', async () => {
    const first = await verify();
    expect(first).toMatchObject({ result: 'not_provable', findings: [], erased: [], checked: { runs: 3 } });
    expect(first.checked.events).toBe(first.size);
    const again = await verify(first.checkpoint, true);
    expect(again).toMatchObject({
      result: 'sound',
      findings: [],
      from: first.size,
      proven_up_to: first.size,
    });
    const { verification, id } = await records.ledger.status();
    expect(verification).toMatchObject({ result: 'sound', up_to: first.size });
    expect(id).toBe(first.ledger);
    expect((await records.ledger.proof(runs[0]!))?.verified).toMatchObject({ result: 'sound' });
  });

  it.each([
    [
      'facts of an event',
      `UPDATE events SET facts = replace(facts, '"exit_code":0', '"exit_code":1')`,
      'event_changed',
    ],
    ['its time', 'UPDATE events SET at = at + 1 WHERE seq = 2', 'event_changed'],
    ['its hash', `UPDATE events SET hash = repeat('0', 64) WHERE seq = 3`, 'event_changed'],
    ['an event that is gone', 'DELETE FROM events WHERE seq = 4', 'event_missing'],
    [
      'a private value',
      `UPDATE event_private SET value = '"eve"' WHERE name = 'cancelled_by'`,
      'private_changed',
    ],
    ['a row of the runs', `UPDATE runs SET status = 'success' WHERE status = 'cancelled'`, 'row_changed'],
    ['a flag of the runs', 'UPDATE runs SET launched = NOT launched', 'row_changed'],
    ['a record', `UPDATE runs SET record = replace(record, 'weekly', 'daily')`, 'row_changed'],
    ['a row that is gone', 'DELETE FROM runs', 'row_missing'],
    [
      'a person who was added',
      `INSERT INTO run_people SELECT 'eve', id, 'principal' FROM runs LIMIT 1`,
      'row_unexpected',
    ],
    ['an alias that is gone', 'DELETE FROM run_aliases', 'row_missing'],
  ])('finds %s', async (_what, statement, fault) => {
    await tamper(statement);
    const { result, findings } = await verify();
    expect(result).toBe('tampered');
    expect(findings.map((finding) => finding.fault)).toContain(fault);
    expect(
      findings.every(
        ({ seq, run_id, table }) => seq !== undefined || run_id !== undefined || table === 'narrow_runs',
      ),
    ).toBe(true);
  });

  it('finds that a trigger was switched off', async () => {
    const client = new Client({ connectionString: place.url });
    await client.connect();
    await client.query('ALTER TABLE events DISABLE TRIGGER events_never_change');
    await client.end();
    expect((await verify()).findings).toMatchObject([{ fault: 'storage' }]);
  });

  it('finds a cut tail where there is an anchor, and says that it cannot where there is none', async () => {
    const { checkpoint } = await verify();
    await tamper(
      'DELETE FROM event_private WHERE seq > 8',
      'DELETE FROM events WHERE seq > 8',
      'DELETE FROM calls WHERE seq > 8',
      `DELETE FROM runs WHERE id NOT IN (SELECT run_id FROM events)`,
      `DELETE FROM narrow_runs WHERE n NOT IN (SELECT n FROM runs)`,
      `DELETE FROM run_people WHERE run_id NOT IN (SELECT run_id FROM events)`,
      `DELETE FROM meta WHERE name <> 'ledger'`,
    );
    expect((await verify()).result).toBe('not_provable');
    const anchored = await verify(checkpoint);
    expect(anchored.result).toBe('tampered');
  });
});
