import type { RunLeases } from '../runs/run-ledger.ts';
import type { LogPieces } from '../runs/run-log.ts';
import { ownLease } from './lease-methods.ts';
import type { Methods } from './service.ts';

export interface LogPorts {
  leases: Pick<RunLeases, 'list'>;
  pieces: LogPieces;
}

/** The log of a run is written by whoever holds its lease. */
export function logMethods({ leases, pieces }: LogPorts): Pick<Methods, 'logs/pieces' | 'logs/write' | 'logs/drop'> {
  return {
    async 'logs/pieces'(machine, { run_id }) {
      await ownLease(leases, machine, run_id);
      const sizes = await pieces.sizes(run_id);
      return await Promise.all(
        sizes.map(async (size) => ({ ...size, sha256: (await pieces.digest(run_id, size)) ?? '' })),
      );
    },
    async 'logs/write'(machine, { run_id, piece, offset, text }) {
      await ownLease(leases, machine, run_id);
      return await pieces.write(run_id, { piece, offset }, text);
    },
    async 'logs/drop'(machine, { run_id, piece }) {
      await ownLease(leases, machine, run_id);
      await pieces.drop(run_id, piece);
      return null;
    },
  };
} // prettier-ignore
