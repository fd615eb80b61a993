import type { Records } from '../../history/records.ts';
import { awayText, type JournalStanding, type Outage } from '../../runs/outage.ts';
import type { Beside } from './beside.ts';
import { countOpen, type Journal } from './journal.ts';
import type { Reach } from './reach.ts';

interface Parts {
  database: Pick<Records, 'archive'>;
  journal: Journal;
  reach: Reach;
  beside: Pick<Beside, 'merges'>;
  /** False: nothing new goes into the journal. */
  spools: boolean;
  /** Why the last merge failed. */
  problem: () => string | null;
}

/** What is to be known of the journal besides the answers from it. */
export function createOutage({ database, journal, reach, beside, spools, problem }: Parts): Outage {
  return {
    away: () => reach.away(),
    async says(run_id) {
      const since = await reach.away();
      if (since !== null) {
        return `the ledger cannot be asked, ${awayText(since)}: this answer knows only what was journalled on this machine since then, which is merged when the database is back`;
      }
      if (run_id === null || !(await journal.has(run_id))) return null;
      const [absent] = await database.archive.absent([run_id]);
      if (absent === undefined) return null;
      return `run ${run_id} was journalled on this machine while the database of the ledger was away; it is in no search and no count until it has ended and is merged`;
    },
    async standing(): Promise<JournalStanding> {
      const runs = await journal.unmerged();
      return {
        when_down: spools ? 'spool' : 'refuse',
        away_since: await reach.away(),
        runs: runs.length,
        open: countOpen(runs),
        last_merge: (await beside.merges.read()).last,
        problem: problem(),
      };
    },
  };
}
