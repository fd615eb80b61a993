import { checkpointSchema, checkSignature, type CheckpointKeys } from '../ledger/checkpoint.ts';
import type { LedgerCheck } from '../ledger/verify.ts';
import { isObject } from '../shared/json.ts';
import type { RemoteRunDetail } from './polycrate-api.ts';
import { METADATA } from './report.ts';

export interface ReturnedPorts {
  check: Pick<LedgerCheck, 'id' | 'notes' | 'note'>;
  keys(): Pick<CheckpointKeys, 'id' | 'publicKey'>;
}

/**
 * Reports carry the newest checkpoint of their ledger. One of ours that comes back is one that lies outside: it is noted
 * as the anchor if it is genuine and newer than what is known. `place` says where it lies.
 */
export function createCheckpointFinder({ check, keys }: ReturnedPorts): (run: RemoteRunDetail, place: string) => Promise<void> {
  /** What was noted or was there already, so that few runs ask the ledger. */
  let newest = 0;
  return async ({ metadata }, place) => {
    const ours = metadata?.[METADATA];
    const { data } = checkpointSchema.safeParse(isObject(ours) ? ours['checkpoint'] : undefined);
    if (!data || data.size <= newest || data.ledger !== (await check.id())) return;
    if (checkSignature(data, keys()) !== 'valid') return;
    const { anchor } = await check.notes();
    newest = Math.max(data.size, anchor?.size ?? 0);
    if ((anchor?.size ?? 0) >= data.size) return;
    await check.note({ anchor: { at: data.at, size: data.size, place } });
  };
} // prettier-ignore
