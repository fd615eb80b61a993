import {
  MOST_ROWS,
  type ForeignRun,
  type Mirror,
  type RefusedRow,
  type StoredRow,
} from '../../ledger/mirror.ts';
import type { Clock } from '../../shared/ports.ts';

/** What became of one row. */
export type RowStored = StoredRow | { refused: Omit<RefusedRow, 'row'> };

/** Stores rows one by one for its callers, and together for the ledger: what arrives during a commit shares the next one. */
export interface PageWriter {
  store(row: ForeignRun): Promise<RowStored>;
}

interface Waiting {
  row: ForeignRun;
  resolve: (stored: RowStored) => void;
  reject: (error: unknown) => void;
}

interface WriterPorts {
  mirror: Pick<Mirror, 'storePage'>;
  endpoint: string;
  clock: Pick<Clock, 'now'>;
}

export function createPageWriter({ mirror, endpoint, clock }: WriterPorts): PageWriter {
  let waiting: Waiting[] = [];
  let going = false;

  const storeBatch = async (batch: readonly Waiting[]): Promise<void> => {
    const rows = batch.map(({ row }) => row);
    try {
      const stored = await mirror.storePage({ source: 'ingest', endpoint, at: clock.now(), rows });
      const refused = new Map((stored.refused ?? []).map(({ row, ...why }) => [row, why]));
      for (const [index, { resolve }] of batch.entries()) {
        const why = refused.get(index);
        resolve(why ? { refused: why } : stored.rows[index]!);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };

  const drain = async (): Promise<void> => {
    if (going) return;
    going = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_ROWS);
      waiting = waiting.slice(MOST_ROWS);
      await storeBatch(batch);
    }
    going = false;
  };

  return {
    store(row) {
      return new Promise((resolve, reject) => {
        waiting.push({ row, resolve, reject });
        void drain();
      });
    },
  };
}
