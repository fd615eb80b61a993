import type { ProcessIdentity } from '../../shared/ports.ts';
import type { UntoldRun, UntoldRuns } from '../../runs/untold.ts';
import type { Database } from './database.ts';
import { ownerText } from './leases.ts';

interface UntoldRow extends Omit<UntoldRun, 'teller'> {
  teller: string;
}

const FIND = 'SELECT run_id, teller, at FROM untold WHERE call = $1 AND at >= $2 ORDER BY run_id';

/** Runs whose callers do not know of them yet. */
export function createUntold(db: Database): UntoldRuns {
  return {
    async find(call, since) {
      return (await db.read<UntoldRow>(FIND, [call, since])).map(fromRow);
    },
    async pass({ run_id, teller }, to) {
      const values = [run_id, tellerText(teller), tellerText(to)];
      const [row] = await db.write<{ passed: boolean }>(
        'SELECT ledger_untold_pass($1, $2, $3) AS passed',
        values,
      );
      return row!.passed;
    },
    async told(run_id) {
      await db.write('SELECT ledger_untold_told($1)', [run_id]);
    },
  };
}

export function tellerText(teller: ProcessIdentity | null): string {
  return teller === null ? '' : ownerText(teller);
}

function fromRow({ teller, ...row }: UntoldRow): UntoldRun {
  return { ...row, teller: teller === '' ? null : (JSON.parse(teller) as ProcessIdentity) };
}
