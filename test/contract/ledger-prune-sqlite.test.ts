import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, expect, it } from 'vitest';
import { openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import {
  BEGIN,
  DAY,
  keysOf,
  pruneBefore,
  pruningContract,
  type PruningPlace,
} from './ledger-prune.contract.ts';

async function open(): Promise<PruningPlace> {
  const home = await tempFolder('prune');
  const records = openSqlite(home.path);
  return {
    records,
    home: home.path,
    async tamper(sql) {
      const db = new Sqlite(join(home.path, 'ledger.db'));
      const triggers = db
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        .all() as any[];
      for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
      db.exec(sql);
      for (const trigger of triggers) db.exec(trigger.sql);
      db.close();
    },
    async remove() {
      await records.close();
      await home.remove();
    },
  };
}

pruningContract('SQLite', open);

it('a pruned file is in order for the second verifier, which finds the same faults', async () => {
  const place = await open();
  afterAll(() => place.remove());
  for (let day = 0; day < 11; day++) await storeRun(place.records, { requested_at: BEGIN + day * DAY });
  const [file, key] = [join(place.home, 'ledger.db'), (keysOf(place.home) as any).publicText];
  for (const until of [3, 7, 10]) {
    await pruneBefore(place, BEGIN + until * DAY);
    expect(verifyAgain(file, undefined, key)).toEqual([]);
  }
  const db = new Sqlite(file);
  expect(() => db.exec('DELETE FROM events')).toThrow('append-only');
  expect(() => db.exec('UPDATE events SET at = 1')).toThrow('append-only');
  db.close();
  await place.tamper('UPDATE rollups SET launched = launched + 1');
  expect(verifyAgain(file, undefined, key)).toEqual([{ what: 'rollups', seq: 30 }]);
  await place.tamper('UPDATE rollups SET launched = launched - 1; DELETE FROM events WHERE seq = 31');
  expect(verifyAgain(file, undefined, key)).toContainEqual({ what: 'number', seq: 31 });
});
