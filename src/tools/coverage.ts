import type { SeenStanding } from '../ledger/mirror.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { JournalStanding } from '../runs/outage.ts';
import { iso } from './present-run.ts';
import type { Services } from './services.ts';

const HOLDS: Record<SeenStanding['source'], string> = {
  logs: 'runs of the CLI, as it logged them in the workspace',
  api: 'runs that were reported to the Polycrate API',
  ingest: 'runs that CLIs, CI and other servers reported to this one',
};

/** What an answer from history has to know of the journal. */
export type JournalGap = Pick<JournalStanding, 'away_since' | 'runs'>;

/** Since when the ledger is away, for `journalGap`: asked before the answer is looked up. */
export async function awaySince({ outage }: Pick<Services, 'outage'>): Promise<number | null> {
  return (await outage?.away()) ?? null;
}

/** If the ledger was away before the answer was looked up, or is now, the answer may be of the journal. Null: there is none. */
export async function journalGap(
  { outage }: Pick<Services, 'outage'>,
  before: number | null,
): Promise<JournalGap | null> {
  if (before !== null) return { away_since: before, runs: 0 };
  return (await outage?.standing()) ?? null;
}

/** What a history answer rests on, per source and endpoint: how far, how fresh (epoch ms), what is missing. */
export function coverage(
  { newest_at, possible_duplicates }: { newest_at: number | null; possible_duplicates?: number },
  standings: readonly SeenStanding[],
  journal: JournalGap | null,
): Record<string, unknown>[] {
  if (journal && journal.away_since !== null) return [journalOnly(newest_at, journal.away_since)];
  const own = {
    source: 'ledger',
    holds:
      'runs started through this ledger, and runs imported into it from bundles (their source is ingest)',
    newest: iso(newest_at),
    missing: standings.length === 0 ? 'runs that people or CI started elsewhere' : null,
  };
  const duplicates = possible_duplicates ? [{ possible_duplicates }] : [];
  return [
    own,
    ...standings.map(coverageOf),
    ...(journal && journal.runs > 0 ? [UNMERGED] : []),
    ...duplicates,
  ];
}

const UNMERGED = {
  source: 'journal',
  holds: 'runs that a machine started while the database of the ledger was away',
  missing: 'those that are not merged yet: get_status counts them',
};

/** Nothing else can be asked, so neither counts nor absences are of the whole history. */
function journalOnly(newest_at: number | null, away_since: number): Record<string, unknown> {
  return {
    source: 'journal',
    holds: 'runs that were started on this machine while the database of the ledger is away',
    newest: iso(newest_at),
    away_since: iso(away_since),
    missing: 'every other run: the ledger itself cannot be asked',
  };
}

function coverageOf({ source, endpoint, runs, oldest, newest, success_at, problem, missing }: SeenStanding): Record<string, unknown> {
  return {
    source,
    endpoint,
    holds: HOLDS[source],
    runs,
    oldest: iso(oldest),
    newest: iso(newest),
    as_of: iso(success_at),
    missing,
    ...(problem && { problem: `${problem.says} (since ${iso(problem.at)})` }),
  };
} // prettier-ignore

/** How far the rows can be trusted, once for all that are alike: what was authenticated, and what was only claimed. */
export function evidenceOf(runs: readonly ActionRun[]): Record<string, unknown>[] {
  const kinds = new Map<string, { authenticated: string; claimed: string; runs: number }>();
  for (const { evidence } of runs) {
    const [authenticated, claimed] = [evidence?.authenticated ?? [], evidence?.claimed ?? []].map((names) =>
      names.join(', '),
    ) as [string, string];
    const key = `${authenticated}|${claimed}`;
    const kind = kinds.get(key) ?? { authenticated, claimed, runs: 0 };
    kind.runs += 1;
    kinds.set(key, kind);
  }
  return [...kinds.values()];
}
