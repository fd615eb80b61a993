import type { ActionRun } from '../runs/action-run.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { mergeJournal } from './merge-journal.ts';
import type { Records } from './records.ts';
import { tidyJournal, type TidyPorts } from './tidy-journal.ts';

const LOOK_MS = 1_000;
const AGAIN_MS = 5_000;
/** An end does not wait for a merge for longer: the next process merges. */
const LAST_MS = 1_000;
/** Of several processes one merges; if it dies, so long nobody does. */
const CLAIM_MS = 20_000;

export interface KeeperPorts extends Omit<TidyPorts, 'database'> {
  database: Pick<Records, 'archive' | 'check' | 'mirror' | 'trail' | 'upkeep'>;
  /** Null: the ledger answers, as far as is known. */
  away(): Promise<number | null>;
  /** The id of the ledger that the journal stands in for; null: it never saw one. */
  of(): Promise<string | null>;
  isThere(): boolean;
  unmerged(): Promise<ActionRun[]>;
  /** Remembers that; without ids, forgets those that are not in the journal any more. */
  merged(what: { run_ids: readonly string[]; last: { at: number; runs: number; bundle: string } | null }): Promise<void>;
} // prettier-ignore

/** Merges a journal whenever the ledger that it stands in for is there. */
export interface JournalKeeper {
  begin(): void;
  stop(): Promise<void>;
  /** Why the last attempt failed. */
  problem(): string | null;
}

export function createJournalKeeper(ports: KeeperPorts): JournalKeeper {
  const { journal, clock, log } = ports;
  const stopping = new AbortController();
  let keeping: Promise<void> | null = null;
  let problem: string | null = null;
  /** All of it is merged up to here. */
  let done = -1;

  const look = async (): Promise<void> => {
    if (!ports.isThere() || (await ports.away()) !== null) return;
    if ((await events()) === done && (await ports.unmerged()).length === 0) return;
    const now = clock.now();
    if (!(await journal.check.claim({ now, until: now + CLAIM_MS }))) return;
    try {
      await refuseOther(ports);
      // What comes meanwhile is looked at the next time.
      const seen = await events();
      done = (await merge(await ports.unmerged())) ? -1 : seen;
    } finally {
      await journal.check.claim({ now: now + CLAIM_MS, until: 0 });
    }
  };
  const events = async (): Promise<number> => (await journal.ledger.status()).events;
  /** True: the journal was written anew. */
  const merge = async (runs: readonly ActionRun[]): Promise<boolean> => {
    const { run_ids, imported, bundle, calls_up_to } = await mergeJournal(ports, runs);
    if (run_ids.length > 0) {
      const last = bundle === null ? null : { at: clock.now(), runs: imported, bundle };
      await ports.merged({ run_ids, last });
      log('info', 'the journal was merged into the ledger', { runs: imported, bundle });
    }
    const tidied = await tidyJournal(ports, calls_up_to);
    if (tidied) await ports.merged({ run_ids: [], last: null });
    return tidied;
  };
  const keep = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await look();
        problem = null;
      } catch (error) {
        const says = messageOf(error);
        if (says !== problem) log('warn', 'the journal could not be merged yet', { error: says });
        problem = says;
      }
      await clock.sleep(problem === null ? LOOK_MS : AGAIN_MS, stopping.signal);
    }
  };
  return {
    begin: () => void (keeping ??= keep()),
    async stop() {
      stopping.abort();
      await Promise.race([keeping, clock.sleep(LAST_MS)]);
    },
    problem: () => problem,
  };
}

/** What is merged is never taken back, so it must not get into the ledger of somebody else. */
async function refuseOther({ database, of }: KeeperPorts): Promise<void> {
  const [own, there] = [await of(), await database.check.id()];
  if (own === null || own === there) return;
  throw new AppError(
    'configuration',
    `the journal is one of ledger ${own}, and the database holds ledger ${there}`,
    {
      next: 'name its database in POLYCRATE_MCP_DATABASE_URL; if it is lost, delete the file `journal/ledger` of the data folder',
    },
  );
}
