import type { WriteId } from '../runs/run-ledger.ts';
import { uuidOfValues } from '../shared/uuid.ts';
import type { Machine } from './machine.ts';

/** What a machine calls a write, as the ledger knows it: no machine can name, or withdraw, another one's. */
export function ownWrite({ place }: Machine, write_id: WriteId): WriteId {
  return uuidOfValues([place, write_id]);
}
