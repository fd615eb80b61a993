import Sqlite from 'better-sqlite3';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifySideBySide } from '../../src/adapters/sqlite/parallel-check.ts';
import { createRpc, type Rpc } from '../../src/adapters/sqlite/rpc.ts';
import type { VerifyReport } from '../../src/ledger/verify.ts';
import { LEDGER_WORKER, openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { BEGIN, DAY, pruneBefore } from './ledger-prune.contract.ts';

const RUNS = 23;

describe('a verification in pieces', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let threads: Rpc[];
  beforeAll(async () => {
    folder = await tempFolder('pieces');
    const sqlite = openSqlite(folder.path);
    for (let n = 0; n < RUNS; n += 1) await storeRun(sqlite, { requested_at: n, display: `U${n}` });
    await sqlite.close();
    threads = [1, 2, 3].map(() => createRpc(LEDGER_WORKER, folder.path, () => undefined));
  });
  afterAll(async () => {
    await Promise.all(threads.map((thread) => thread.close()));
    await folder.remove();
  });

  const inPieces = (size: number, known: VerifyReport[] = []): Promise<VerifyReport | null> =>
    verifySideBySide(
      threads,
      { known: known.map((state) => ({ ...state, name: 'known' })) },
      () => undefined,
      size,
    );
  const inOne = (): Promise<VerifyReport> =>
    threads[0]!.follow('verify', [{ from: null, known: [] }], () => undefined);
  const change = (...statements: string[]): void => {
    const db = new Sqlite(join(folder.path, 'ledger.db'));
    for (const statement of statements) db.exec(statement);
    db.close();
  };

  it.each([1, 2, 7, 23, 24, 1000])('of %i runs says what one from first to last says', async (size) => {
    expect(await inPieces(size)).toEqual(await inOne());
  });

  it('passes through known states, and only through them', async () => {
    const now = await inOne();
    expect(await inPieces(5, [now])).toEqual(now);
    expect(await inPieces(5, [{ ...now, size: now.size + 1 }])).toBeNull();
    expect(await inPieces(5, [{ ...now, size: now.size - 1 }])).toBeNull();
    expect(await inPieces(5, [{ ...now, root: now.head }])).toBeNull();
  });

  it('tells the same erased values', async () => {
    change("DELETE FROM event_private WHERE name IN ('principal', 'reason') AND seq % 5 = 0");
    const [one, many] = [await inOne(), await inPieces(4)];
    // Without its values a run's row is another one, which both ways must notice.
    expect(one.findings_total).toBeGreaterThan(0);
    expect(many).toBeNull();
  });

  it('of a pruned ledger says the same, and notices what is wrong with what is left', async () => {
    const fresh = await tempFolder('pieces');
    const records = openSqlite(fresh.path);
    for (let n = 0; n < RUNS; n += 1) await storeRun(records, { requested_at: BEGIN + n * DAY, display: `U${n}` });
    await pruneBefore({ records, home: fresh.path }, BEGIN + 9 * DAY);
    await records.close();
    const thread = createRpc(LEDGER_WORKER, fresh.path, () => undefined);
    const whole = (known: VerifyReport[] = []): Promise<VerifyReport> =>
      thread.follow('verify', [{ from: null, known: known.map((state) => ({ ...state, name: 'known' })) }], () => undefined);
    const pieces = (known: VerifyReport[] = []): Promise<VerifyReport | null> =>
      verifySideBySide([thread], { known: known.map((state) => ({ ...state, name: 'known' })) }, () => undefined, 4);
    const report = await whole();
    expect(report).toMatchObject({ findings: [], pruning: { size: 27 } });
    expect(await pieces([report])).toEqual(report);
    // What a state before the cut says, nobody can compare any more; one at the cut must be the one that was signed.
    const cut = { ...report, size: 27, head: report.pruning!.head, root: report.pruning!.root };
    expect(await pieces([{ ...cut, size: 3 }, cut])).toEqual(report);
    expect(await pieces([{ ...cut, root: cut.head }])).toBeNull();
    const db = new Sqlite(join(fresh.path, 'ledger.db'));
    db.exec('UPDATE rollups SET runs = runs + 1');
    db.close();
    expect(await pieces()).toBeNull();
    expect((await whole()).findings_total).toBeGreaterThan(0);
    await thread.close();
    await fresh.remove();
  }); // prettier-ignore

  it.each([
    'UPDATE runs SET exit_code = 7 WHERE id = (SELECT max(id) FROM runs)',
    'DELETE FROM runs WHERE id = (SELECT min(id) FROM runs)',
    "INSERT INTO run_people (name, run_id, role) VALUES ('x', '', 'os_user')",
    "INSERT INTO run_aliases (alias, run_id) VALUES ('x', 'zzz')",
    "INSERT INTO event_private (seq, name, salt, value) VALUES (0, 'a', x'00', '1')",
    "INSERT INTO event_private (seq, name, salt, value) VALUES (1000, 'a', x'00', '1')",
  ])('leaves it to one from first to last to say what is wrong: %s', async (statement) => {
    const fresh = await tempFolder('pieces');
    const sqlite = openSqlite(fresh.path);
    for (let n = 0; n < RUNS; n += 1) await storeRun(sqlite, { requested_at: n, display: `U${n}` });
    await sqlite.close();
    const db = new Sqlite(join(fresh.path, 'ledger.db'));
    db.exec(statement);
    db.close();
    const thread = createRpc(LEDGER_WORKER, fresh.path, () => undefined);
    expect(await verifySideBySide([thread], { known: [] }, () => undefined, 6)).toBeNull();
    const report = await thread.follow<VerifyReport>('verify', [{ from: null, known: [] }], () => undefined);
    expect(report.findings_total).toBeGreaterThan(0);
    await thread.close();
    await fresh.remove();
  });
});
