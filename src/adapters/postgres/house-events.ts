import { randomUUID } from 'node:crypto';
import type { ArchivedEvent } from '../../ledger/archive.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import { HOUSE_EVENT_KINDS, type HouseEvents } from '../../ledger/house-events.ts';
import { AppError } from '../../shared/errors.ts';
import type { Database } from './database.ts';
import { noteDocumentOf } from './projection.ts';
import { problemOf, SCHEMA_VERSION } from './schema.ts';

/** Written out, so that the partial index over these kinds serves it. */
const KINDS = HOUSE_EVENT_KINDS.map((kind) => `'${kind}'`).join(', ');
const ADD = 'SELECT ledger_house_add($1, $2) AS newer';
const EVENTS = `SELECT seq, at, kind, run_id, facts, commitments, prev, hash FROM events
  WHERE kind IN (${KINDS}) ORDER BY seq`;
const VALUES = `SELECT seq, name, salt, value FROM event_private
  WHERE seq IN (SELECT seq FROM events WHERE kind IN (${KINDS})) ORDER BY seq, name`;

export function createHouseEvents({ read, write }: Pick<Database, 'read' | 'write'>): HouseEvents {
  return {
    async add(event) {
      const values = [SCHEMA_VERSION, noteDocumentOf(event, randomUUID())];
      const [row] = await write<{ newer: number | null }>(ADD, values);
      if (row!.newer === null) return;
      throw new AppError('ledger_unavailable', `nothing was stored: ${problemOf(row!.newer)}`);
    },
    async list(): Promise<ArchivedEvent[]> {
      // Values first: one that is erased in between is missing, never one without its event.
      const values = await read<StoredValue>(VALUES);
      const events = await read<StoredEvent>(EVENTS);
      return events.map((event) => ({ event, values: values.filter(({ seq }) => seq === event.seq) }));
    },
  };
}
