import { createHmac } from 'node:crypto';

const RUNS = 'polycrate-mcp: digests of runs';

/** The key for that use, of the ledger's own; null: that one itself. */
export function keyFor(use: 'runs' | null, key: Uint8Array): Uint8Array {
  return use === null ? key : new Uint8Array(createHmac('sha256', key).update(RUNS).digest());
}
