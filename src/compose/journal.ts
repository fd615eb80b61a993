import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundlesIn } from '../adapters/host/bundle-folder.ts';
import { loadCheckpointKeys } from '../adapters/host/checkpoint-keys.ts';
import { systemClock } from '../adapters/host/host.ts';
import { createProcessTable } from '../adapters/host/process-table.ts';
import {
  ALWAYS_THERE,
  createBeside,
  createJournal,
  createJournalledLedger,
  createOutage,
  createReach,
  type OpenRun,
  type Reach,
} from '../adapters/journal/index.ts';
import { isUnknown } from '../adapters/postgres/failures.ts';
import { createPostgresLedger } from '../adapters/postgres/index.ts';
import { createSqliteLedger } from '../adapters/sqlite/index.ts';
import type { Config } from '../config.ts';
import { createJournalKeeper, type JournalKeeper } from '../history/keep-merged.ts';
import type { Records } from '../history/records.ts';
import type { ExecutorKind } from '../runs/executor.ts';
import type { Outage } from '../runs/outage.ts';
import type { Log, ProcessTable } from '../shared/ports.ts';
import type { Executors } from './executors.ts';
import { settingsOf } from './run-settings.ts';

/** A ledger that a journal of this machine stands in for while its database is away. */
export interface Journalled {
  records: Records;
  outage: Outage;
  keeper: JournalKeeper;
}

interface Parts {
  config: Config;
  log: Log;
  database: Records;
  executors: Executors;
  worker: URL;
}

/** Null: there is no journal and nobody wants one. */
export function journalledOf({ config, log, database, executors, worker }: Parts): Journalled | null {
  const { databaseUrl, ledgerDown, runMode } = config;
  const home = join(config.home, 'journal');
  const file = join(home, 'ledger.db');
  const spools = ledgerDown === 'spool';
  // Also without the setting, so that nothing is lost when somebody turns it off.
  if (databaseUrl === null || runMode === 'read-only' || (!spools && !existsSync(file))) return null;
  const beside = createBeside(home);
  const journal = createJournal({ records: createSqliteLedger({ home, worker }), file, beside });
  const reach = spools ? reachOf(databaseUrl, log) : ALWAYS_THERE;
  const processes = createProcessTable(config.home);
  const parts = { database, journal, reach, beside, spools, clock: systemClock };
  const keeper = createJournalKeeper({
    ...{ journal: journal.records, database, clock: systemClock, log },
    keys: () => loadCheckpointKeys({ home, given: null }),
    bundles: bundlesIn(join(home, 'merged')),
    away: () => reach.away(),
    of: () => beside.ledger.read(),
    isThere: () => journal.isThere(),
    unmerged: () => journal.unmerged(),
    async merged({ run_ids, last }) {
      const before = await beside.merges.read();
      const known = [...new Set([...before.merged, ...run_ids])];
      const there = await Promise.all(known.map((id) => journal.has(id)));
      await beside.merges.write({ last: last ?? before.last, merged: known.filter((_, at) => there[at]) });
    },
  });
  return {
    records: createJournalledLedger({ ...parts, processes, goesOn: goesOn({ config, executors, processes }) }),
    outage: createOutage({ ...parts, problem: () => keeper.problem() }),
    keeper,
  };
} // prettier-ignore

function reachOf(url: string, log: Log): Reach {
  const scout = createPostgresLedger({ url, log: () => undefined, patience_ms: 0 });
  const reach = createReach({
    look: () => scout.leases.now(),
    isGone: isUnknown,
    clock: systemClock,
    log,
  });
  return {
    ...reach,
    close() {
      reach.close();
      void scout.close();
    },
  };
}

/** What is agreed to is copied before it starts; longer than that takes. */
const BEGINS_WITHIN_MS = 15_000;

/** Of what has no trace on the engine only the process that asked for it knows whether it is about to begin. */
function goesOn({
  config,
  executors,
  processes,
}: Pick<Parts, 'config' | 'executors'> & { processes: ProcessTable }): (run: OpenRun) => Promise<boolean> {
  return async ({ run_id, executor, owner, at }) => {
    if (executor === 'workflow') return processes.state(owner) === 'alive';
    const kind = executor === 'approval' || executor === 'remote' ? settingsOf(config).executor : executor;
    const engine = executors(kind satisfies ExecutorKind);
    const { state } = await engine.find(run_id);
    // A container stays until its end is stored, so none means not yet; on this host it may be over as well.
    const isSoon = engine.adoptable || systemClock.now() - at < BEGINS_WITHIN_MS;
    if (state === 'absent') return isSoon && processes.state(owner) === 'alive';
    return state !== 'exited';
  };
}
