import { signPruning } from '../ledger/prune.ts';
import { rollupDigest } from '../ledger/rollup.ts';
import type { LedgerUpkeep } from '../ledger/upkeep.ts';
import { verifyLedger } from '../ledger/verify-ledger.ts';
import { CALLS_RECORDED } from '../runs/trail-event.ts';
import type { MergePorts } from './merge-journal.ts';
import type { Records } from './records.ts';

export interface TidyPorts extends Omit<MergePorts, 'journal' | 'database'> {
  journal: MergePorts['journal'] & { upkeep: LedgerUpkeep };
  database: Pick<Records, 'archive'>;
}

/**
 * Takes out of a journal what the ledger has by now, so that nothing stays here about people whom the ledger erases. The
 * bundles prove what was there. Answers whether anything went.
 */
export async function tidyJournal(ports: TidyPorts, calls_up_to: number): Promise<boolean> {
  const { journal, database, clock } = ports;
  const at = clock.now();
  const plan = await journal.upkeep.planPrune(at + 1);
  if (plan.events === 0 || (await database.archive.absent(plan.runs)).length > 0) return false;
  const calls = (await journal.archive.events([''])).filter(({ event }) => event.kind === CALLS_RECORDED);
  if (calls.some(({ event: { seq } }) => seq > calls_up_to && seq <= plan.size)) return false;
  if (plan.runs.length === 0 && calls.length === 0) return false;
  const { id, privateKey } = ports.keys();
  const { result, ledger } = await verifyLedger({ ...ports, check: journal.check, keys: () => ports.keys() }, { anchor: null, incremental: true });
  if (result === 'tampered' || !privateKey) return false;
  const { size, head, root, frontier, tombstones, rollups } = plan;
  const runs = rollups.reduce((sum, row) => sum + row.runs, 0);
  const left = { rows: rollups.length, runs, digest: rollupDigest(rollups) };
  const pruning = signPruning({ ledger, size, head, root, frontier, before: at + 1, at, rollups: left, tombstones }, { id, privateKey });
  await journal.upkeep.prune({ plan, pruning, at, by: {} });
  await journal.upkeep.clean('pruning');
  return true;
} // prettier-ignore
