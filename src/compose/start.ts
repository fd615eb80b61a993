import { createIds, hostFacts, realPath, systemClock } from '../adapters/host/host.ts';
import type { Config } from '../config.ts';
import type { StartPorts } from '../runs/start.ts';
import { settingsOf } from './run-settings.ts';

interface StartParts extends Pick<
  StartPorts,
  | 'store' | 'git' | 'policy' | 'log' | 'supervision' | 'supervisor' | 'approvals' | 'detacher' | 'tellings' | 'redaction'
  | 'requesters' | 'reporting' | 'remote' | 'runner' | 'outage'
> {
  config: Config;
} // prettier-ignore

/** What planning, recording and starting need. */
export function startPortsOf({ config, ...parts }: StartParts): StartPorts {
  const { supervision } = parts;
  const settings = settingsOf(config);
  return {
    ...parts,
    settings,
    executor: supervision.executor(settings.executor),
    files: supervision.files,
    ledger: supervision.ledger,
    processes: supervision.processes,
    realPath,
    clock: systemClock,
    ids: createIds(systemClock),
    host: hostFacts(),
  };
}
