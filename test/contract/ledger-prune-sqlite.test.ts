import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, expect, it } from 'vitest';
import { storeRun } from '../support/fill-ledger.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { sqlitePlace } from './ledger-places.ts';
import { BEGIN, DAY, keysOf, pruneBefore, pruningContract } from './ledger-prune.contract.ts';

pruningContract('SQLite', sqlitePlace);

it('a pruned file is in order for the second verifier, which finds the same faults', async () => {
  const place = await sqlitePlace();
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
