import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spanStatements } from '../../src/adapters/sql/spans.ts';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import type { Records } from '../../src/history/records.ts';
import type { Checkpoint } from '../../src/ledger/checkpoint.ts';
import { verifyLedger, type Verification, type VerifyRequest } from '../../src/ledger/verify-ledger.ts';
import { openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { storeHistory } from './ledger-history.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let home: string;
beforeEach(async () => {
  folder = await tempFolder('verify');
  home = folder.path;
});
afterEach(() => folder.remove());

type Options = { anchor?: Checkpoint | null; incremental?: boolean; given?: string | null };

async function verified(
  sqlite: Records,
  { anchor, incremental, given }: Options = {},
): Promise<Verification> {
  const request: VerifyRequest = {
    anchor: anchor ? { checkpoint: anchor, name: 'the anchor' } : null,
    incremental: incremental ?? false,
  };
  const keys = () => loadCheckpointKeys({ home, given: given ?? null });
  return await verifyLedger({ check: sqlite.check, keys, clock: systemClock, log: () => undefined }, request);
}

/** Opens, does, closes: so that files can be copied in between. */
async function opened<T>(use: (sqlite: Records) => Promise<T>): Promise<T> {
  const sqlite = openSqlite(home);
  try {
    return await use(sqlite);
  } finally {
    await sqlite.close();
  }
}

const verify = (options?: Options): Promise<Verification> => opened((sqlite) => verified(sqlite, options));
const addRun = (n: number): Promise<unknown> =>
  opened((sqlite) => storeRun(sqlite, { requested_at: n, display: `U${n}` }));
const file = (): string => join(home, 'ledger.db');

/** A tail that is gone with everything that was derived from it, by somebody who knows the schema. */
function cutTail(keep: number): void {
  const db = new Sqlite(file());
  db.exec('DROP TRIGGER events_never_leave');
  const gone = db.prepare('SELECT DISTINCT run_id FROM events WHERE seq > ?').pluck().all(keep) as string[];
  db.prepare('DELETE FROM events WHERE seq > ?').run(keep);
  for (const table of ['event_private', 'calls']) db.prepare(`DELETE FROM ${table} WHERE seq > ?`).run(keep);
  for (const id of gone) {
    db.prepare('DELETE FROM runs WHERE id = ?').run(id);
    db.prepare('DELETE FROM run_people WHERE run_id = ?').run(id);
  }
  db.exec('DELETE FROM narrow_runs WHERE n NOT IN (SELECT n FROM runs)');
  // And nothing is counted any more, as in a new ledger.
  db.exec('DELETE FROM run_counts');
  db.exec('DELETE FROM unit_spans');
  for (const statement of spanStatements('narrow_runs c')) db.exec(statement);
  db.exec("DELETE FROM meta WHERE name <> 'ledger'");
  db.exec(
    "CREATE TRIGGER events_never_leave BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
  );
  db.close();
}

describe('without an anchor', () => {
  it('a whole ledger is in order, but not provably whole', async () => {
    await storeHistory(home);
    const result = await verify();
    expect(result).toMatchObject({ result: 'not_provable', findings: [], proven_up_to: null });
    expect(result.not_provable[0]).toContain('only a checkpoint that was kept elsewhere can tell');
    expect(result.checkpoint).toMatchObject({ size: 10, head: result.head, root: result.root });
  });

  it('a cut tail and an old copy are called not provable', async () => {
    await storeHistory(home);
    await copyFile(file(), `${file()}.old`);
    await addRun(1);
    cutTail(10);
    expect(await verify()).toMatchObject({ result: 'not_provable', findings: [], size: 10 });
    await addRun(2);
    await copyFile(`${file()}.old`, file());
    await Promise.all(['-wal', '-shm'].map((end) => rm(`${file()}${end}`, { force: true })));
    expect(await verify()).toMatchObject({ result: 'not_provable', findings: [], size: 10 });
  });

  it('what an earlier verification left shows a clumsy cut', async () => {
    await storeHistory(home);
    await verify();
    const db = new Sqlite(file());
    const notes = db.prepare("SELECT * FROM meta WHERE name = 'verified'").get() as { value: string };
    db.close();
    cutTail(7);
    const again = new Sqlite(file());
    again.prepare('INSERT INTO meta VALUES (@name, @value)').run(notes);
    again.close();
    const result = await verify({ incremental: true });
    expect(result.result).toBe('tampered');
    expect(result.findings).toContainEqual(
      expect.objectContaining({ fault: 'anchor_mismatch', seq: 8, to_seq: 10 }),
    );
  });
});

describe('with an anchor', () => {
  const anchored = async (): Promise<Checkpoint> => {
    await storeHistory(home);
    return (await verify()).checkpoint!;
  };

  it('a ledger that went on is sound, up to the anchor', async () => {
    const anchor = await anchored();
    await addRun(1);
    expect(await verify({ anchor })).toMatchObject({
      result: 'sound',
      proven_up_to: 10,
      size: 13,
      findings: [],
    });
    expect(await verify({ anchor, incremental: true })).toMatchObject({ result: 'sound', from: 0 });
  });

  it('a cut tail is found, and where', async () => {
    const anchor = await anchored();
    cutTail(8);
    expect(await verify({ anchor })).toMatchObject({
      result: 'tampered',
      findings: [{ fault: 'anchor_mismatch', seq: 9, to_seq: 10 }],
    });
  });

  it('a rollback of the whole file is found', async () => {
    await storeHistory(home);
    await copyFile(file(), `${file()}.old`);
    await addRun(1);
    const anchor = (await verify()).checkpoint!;
    await copyFile(`${file()}.old`, file());
    await Promise.all(['-wal', '-shm'].map((end) => rm(`${file()}${end}`, { force: true })));
    const put_back = await verify({ anchor });
    expect(put_back).toMatchObject({ result: 'tampered', findings: [{ seq: 11, to_seq: 13 }] });
    // Growing to the same size again does not help.
    await addRun(2);
    const grown = await verify({ anchor });
    expect(grown.findings).toEqual([expect.objectContaining({ fault: 'anchor_mismatch', seq: 13 })]);
    const key = loadCheckpointKeys({ home, given: null });
    expect(verifyAgain(file(), anchor, key.publicText).map(({ what }) => what)).toEqual([
      'checkpoint head',
      'checkpoint root',
    ]);
  });

  it('another ledger in its place, an altered anchor and one of a foreign key are told apart', async () => {
    const anchor = await anchored();
    const altered = await verify({ anchor: { ...anchor, size: 3 } });
    expect(altered.findings).toEqual([expect.objectContaining({ fault: 'anchor_altered' })]);
    await copyFile(join(home, 'checkpoint-key.pem'), join(home, 'kept.pem'));
    await rm(join(home, 'checkpoint-key.pem'));
    await rm(join(home, 'checkpoint-key.pub.pem'));
    const foreign = await verify({ anchor });
    expect(foreign).toMatchObject({ result: 'not_provable', findings: [] });
    expect(foreign.not_provable[1]).toContain('is not the one at hand');
    expect(await verify({ anchor, given: join(home, 'kept.pem') })).toMatchObject({ result: 'sound' });
    await rm(file());
    await storeHistory(home);
    const replaced = await verify({ anchor, given: join(home, 'kept.pem') });
    expect(replaced.findings).toEqual([expect.objectContaining({ fault: 'anchor_mismatch' })]);
  });

  it('the second verifier agrees', async () => {
    const anchor = await anchored();
    const key = await readFile(join(home, 'checkpoint-key.pub.pem'), 'utf8');
    expect(verifyAgain(file(), anchor, key)).toEqual([]);
    expect(verifyAgain(file(), { ...anchor, size: 8 }, key).map(({ what }) => what)).toEqual([
      'checkpoint signature',
      'checkpoint head',
      'checkpoint root',
    ]);
  });
});

describe('incremental', () => {
  it('reads what is new, and ends in the same state as a whole verification', async () => {
    await storeHistory(home);
    await verify();
    await addRun(1);
    const next = await verify({ incremental: true });
    expect(next).toMatchObject({ from: 10, findings: [], checked: { events: 3, runs: 1 } });
    const whole = await verify();
    expect(whole).toMatchObject({
      from: 0,
      head: next.head,
      root: next.root,
      checked: { events: 13, runs: 4 },
    });
    expect(await verify({ incremental: true })).toMatchObject({ from: 13, checked: { events: 0, runs: 0 } });
  });

  it('finds a change in what is new, and of the event that it goes on from', async () => {
    await storeHistory(home);
    await verify();
    await addRun(1);
    const db = new Sqlite(file());
    db.exec('DROP TRIGGER events_never_change; UPDATE events SET at = at + 1 WHERE seq IN (10, 12)');
    db.close();
    const { findings } = await verify({ incremental: true });
    expect(findings.map(({ seq }) => seq)).toEqual([10, 12]);
  });

  it('trusts no note that was forged', async () => {
    await storeHistory(home);
    await verify();
    const db = new Sqlite(file());
    db.exec(`UPDATE meta SET value = replace(value, '"size":10', '"size":8') WHERE name = 'verified'`);
    db.close();
    const { findings, from } = await verify({ incremental: true });
    expect(from).toBe(0);
    expect(findings).toEqual([expect.objectContaining({ fault: 'anchor_altered' })]);
  });
});

describe('an untouched ledger raises no alarm', () => {
  it('whatever happened, with several writers, verified while they write', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (writers) => {
        const own = await tempFolder('history');
        home = own.path;
        const [one, two, reader] = [openSqlite(home), openSqlite(home), openSqlite(home)];
        try {
          await one.ledger.status();
          let busy = true;
          const writing = Promise.all(
            [one, two].map(async (sqlite, index) => {
              for (const past of writers[index]!) await storeRun(sqlite, past);
            }),
          ).finally(() => (busy = false));
          let incremental = false;
          do {
            expect((await verified(reader, { incremental })).findings).toEqual([]);
            incremental = !incremental;
          } while (busy);
          await writing;
          const { checkpoint, findings, checked } = await verified(reader);
          expect(findings).toEqual([]);
          expect(checked.runs).toBe(writers.flat().length);
          const key = loadCheckpointKeys({ home, given: null }).publicText;
          expect(verifyAgain(file(), checkpoint!, key)).toEqual([]);
        } finally {
          await Promise.all([one, two, reader].map((sqlite) => sqlite.close()));
          await own.remove();
        }
      }),
      { numRuns: 15, interruptAfterTimeLimit: 25_000 },
    );
  });
});

/** Any text that JSON can carry, half surrogate pairs and NUL included. */
const anyText = fc
  .array(fc.nat(0xffff), { maxLength: 8 })
  .map((units) => String.fromCharCode(...units, 0xd800));
const past = fc.record(
  {
    requested_at: fc.nat(),
    display: fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), anyText),
    os_user: fc.constantFrom('Deploy', 'ÄÖ', 'deploy', ''),
    reason: anyText,
    status: fc.constantFrom('pending', 'running', 'success', 'failed', 'unknown'),
    environment: fc.option(fc.string({ maxLength: 4 })),
    exit_code: fc.option(fc.integer({ min: -1, max: 255 })),
    client: fc.option(fc.string({ unit: 'binary', maxLength: 6 })),
    aliases: fc.array(
      fc.record({
        source: fc.constantFrom('a', 'b'),
        endpoint: fc.constant(null),
        id: fc.oneof(fc.constantFrom('x', 'y', 'é'), anyText),
      }),
      {
        maxLength: 3,
      },
    ),
  },
  { requiredKeys: ['requested_at'] },
);
const histories = fc.tuple(fc.array(past, { maxLength: 8 }), fc.array(past, { maxLength: 8 }));

it('a folder without a ledger is refused, and stays without', async () => {
  await expect(verify()).rejects.toMatchObject({ code: 'ledger_unavailable' });
  expect(existsSync(file())).toBe(false);
});
