import type { Cleaning, OnUpkeep } from '../../ledger/upkeep.ts';
import type { OpenLedger } from './open.ts';

/**
 * Writes the file anew, because a page that was split or moved still shows its old content in its unused part, and
 * empties the write-ahead log. Readers and writers of other processes are waited for.
 */
export function clean({ db }: OpenLedger, onProgress: OnUpkeep): Cleaning {
  onProgress({ step: 'cleaning', done: 0, total: 2 });
  db.exec('VACUUM');
  onProgress({ step: 'cleaning', done: 1, total: 2 });
  const [{ busy }] = db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }];
  if (busy === 0)
    return { done: true, remains: ['Backups and other copies of the ledger hold what they held.'] };
  return {
    done: false,
    remains: ['Another process reads the ledger, so its write-ahead log could not be emptied.'],
  };
}
