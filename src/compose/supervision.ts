import { loadCheckpointKeys } from '../adapters/host/checkpoint-keys.ts';
import { systemClock } from '../adapters/host/host.ts';
import { createProcessTable } from '../adapters/host/process-table.ts';
import { createLogFiles } from '../adapters/log-files/index.ts';
import { buildContexts } from '../adapters/workspace-files/build-context.ts';
import { createPrivateCopies } from '../adapters/workspace-files/private-copy.ts';
import type { App } from '../compose.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import type { SupervisionPorts } from '../runs/supervision.ts';
import type { Log } from '../shared/ports.ts';
import type { Executors } from './executors.ts';

export function verificationOf({
  config,
  log,
  records,
}: Pick<SupervisionParts, 'config' | 'log'> & { records: Pick<Records, 'check'> }): App['verification'] {
  return {
    check: records.check,
    keys: () => loadCheckpointKeys({ home: config.home, given: config.signingKeyFile }),
    clock: systemClock,
    log,
  };
}

export interface SupervisionParts {
  config: Config;
  log: Log;
  records: Pick<Records, 'ledger' | 'leases' | 'watch'>;
  files: SupervisionPorts['files'];
  executors: Executors;
  executes: boolean;
}

export function supervisionOf({
  config,
  log,
  records,
  files,
  executors,
  executes,
}: SupervisionParts): SupervisionPorts {
  return {
    ledger: records.ledger,
    leases: records.leases,
    watch: records.watch,
    logs: createLogFiles({ home: config.home, maxBytes: config.logMaxBytes }),
    files,
    copies: createPrivateCopies(),
    contexts: buildContexts,
    executor: executors,
    executes,
    processes: createProcessTable(config.home),
    lostAfterMs: config.lostAfterMs,
    clock: systemClock,
    log,
  };
}
