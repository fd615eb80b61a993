import { systemClock } from '../adapters/host/host.ts';
import { createLogPieces } from '../adapters/log-files/pieces.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createRunnerAuthority } from '../runners/authority.ts';
import { createCallAuthority } from '../runners/call-authority.ts';
import { rulesInForce } from '../runners/dispatch.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { StartPorts } from '../runs/start.ts';
import type { CallRecorder } from '../runs/trail.ts';
import { createRunnerService, type RunnerService } from '../runners/service.ts';

interface Parts {
  config: Config;
  records: Records;
  policy: PolicyPorts;
  recorder: CallRecorder;
  reporting: StartPorts['reporting'];
  requesters: StartPorts['requesters'];
  /** This server executes itself. */
  executes: boolean;
}

/** What a server answers its runners. */
export function runnerServiceOf(parts: Parts): RunnerService {
  const { config, records, policy, recorder, reporting, requesters, executes } = parts;
  const { ledger, leases, untold, watch, exchange } = records;
  const mode = config.runMode;
  const calls = createCallAuthority({
    exchange,
    ledger,
    policy,
    mode,
    recorder,
    reporting,
    clock: systemClock,
  });
  return createRunnerService({
    ...{ ledger, leases, untold, requesters, watch, exchange },
    pieces: createLogPieces({ home: config.home, maxBytes: config.logMaxBytes }),
    authority: createRunnerAuthority({ ledger, leases, calls }),
    rules: () => rulesInForce(policy, mode),
    closed: executes ? 'this server executes runs itself: it was started with --with-runner' : null,
    clock: systemClock,
  });
}
