import { HOUSE_EVENT_KINDS, type HouseEvent } from '../../ledger/house-events.ts';
import type { ArchivedEvent } from '../../ledger/archive.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import { createChain } from './chain.ts';
import { refuseWrite, type OpenLedger } from './open.ts';

/** Written out, so that the partial index over these kinds serves it. */
const KINDS = HOUSE_EVENT_KINDS.map((kind) => `'${kind}'`).join(', ');

export interface SyncHouseEvents {
  houseAdd(event: HouseEvent): void;
  houseList(): ArchivedEvent[];
}

export function createSyncHouseEvents(open: OpenLedger): SyncHouseEvents {
  const { db } = open;
  const chain = createChain(db);
  const events = db.prepare(
    `SELECT seq, at, kind, run_id, facts, commitments, prev, hash FROM events WHERE kind IN (${KINDS}) ORDER BY seq`,
  );
  const values = db.prepare('SELECT seq, name, salt, value FROM event_private WHERE seq = ? ORDER BY name');
  const add = db.transaction((event: HouseEvent): void => {
    refuseWrite(open, 'nothing was stored');
    chain(event);
  });
  const list = db.transaction((): ArchivedEvent[] =>
    (events.all() as StoredEvent[]).map((event) => ({
      event,
      values: values.all(event.seq) as StoredValue[],
    })),
  );
  return { houseAdd: (event) => void add.immediate(event), houseList: () => list() };
}
