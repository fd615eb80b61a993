import { fileURLToPath } from 'node:url';
import { NOBODY } from '../access/people.ts';
import { createDetacher } from '../adapters/host/detacher.ts';
import { createIds, createRunFiles, hostFacts, systemClock } from '../adapters/host/host.ts';
import { createProcessTable } from '../adapters/host/process-table.ts';
import { createStderrLog } from '../adapters/host/stderr-log.ts';
import { createGit } from '../adapters/git/index.ts';
import { createLogFiles } from '../adapters/log-files/index.ts';
import { createLogPieces } from '../adapters/log-files/pieces.ts';
import { createRunnerLedger, type RunnerLedger } from '../adapters/runner-ledger/index.ts';
import { VERSION, type Config } from '../config.ts';
import { attend, type Attendance } from '../runners/attend.ts';
import type { RulesInForce } from '../runners/call.ts';
import type { Announcement } from '../runners/exchange.ts';
import { offered } from '../runners/offered-workspaces.ts';
import { createApprovalWatch, type ApprovalWatch } from '../runs/conduct-approvals.ts';
import { conductWorkflow } from '../runs/conduct.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { RemoteRuns } from '../runs/remote.ts';
import type { StartPorts } from '../runs/start.ts';
import { createSupervisor, type Supervisor } from '../runs/supervisor.ts';
import type { SupervisionPorts } from '../runs/supervision.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/ports.ts';
import { recent } from '../shared/recent.ts';
import { createRedaction } from '../shared/redact/redaction.ts';
import { secretValues } from '../shared/secrets.ts';
import { answerCall, type RunnerServices } from '../tools/on-runner.ts';
import { over } from '../tools/services-for.ts';
import { watched } from '../workspaces/known.ts';
import { fetchOf } from './api.ts';
import { executorsOf } from './executors.ts';
import { startPortsOf } from './start.ts';
import { supervisionOf } from './supervision.ts';
import { workspaceFilesOf } from './workspaces.ts';

/** A process that executes for a server: workspaces and engine are its own, the records are the server's. */
export interface RunnerApp {
  config: Config;
  log: Log;
  name: string;
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  approvals: ApprovalWatch;
  detacher: StartPorts['detacher'];
  /** Connects outwards, from now on. */
  attend(): Attendance;
  close(): Promise<void>;
}

interface Options {
  config: Config;
  flags: readonly string[];
}

const ENGINE_FRESH_MS = 5_000;

export function composeRunner({ config, flags }: Options): RunnerApp {
  const redaction = createRedaction();
  redaction.learn('settings', { secrets: secretValues({ key: config.runnerKey, key_password: config.encryptionKey }), names: [] });
  const log = createStderrLog(config.logLevel, (fields) => redaction.json(fields));
  const files = createRunFiles(config.home);
  const records = recordsOf(config, log);
  const store = watched(workspaceFilesOf(config, log), redaction);
  const supervision: SupervisionPorts = {
    ...supervisionOf({ config, log, records, files, executors: executorsOf(config, files, log), executes: true }),
    logs: records.logs,
    // Of lost runs the server takes care.
    lostAfterMs: null,
  };
  const rules = rulesFrom(config);
  // Without rules everything would be denied; a process that takes no calls asks for them.
  const ruled = async (): Promise<void> => {
    if (!rules.known()) rules.heard(await records.calls.rules());
  };
  const approvals = createApprovalWatch(() => start);
  const supervisor = createSupervisor(supervision, {
    async workflow(run, how) {
      await ruled();
      await conductWorkflow(start, run, how);
    },
    async approvals() {
      try {
        await ruled();
      } catch (error) {
        log('warn', 'the server does not say its rules', { error: messageOf(error) });
        return 0;
      }
      return await approvals.look();
    },
    remote: () => Promise.reject(new AppError('internal', 'what a Polycrate API executes its server follows')),
  });
  const detacher = createDetacher({
    script: fileURLToPath(new URL('./main.js', import.meta.url)),
    flags: [...flags, '--for-runner'],
  });
  const name = config.runnerName ?? hostFacts().hostname;
  const git = createGit({ env: config.childEnvironment, clock: systemClock, log });
  const start: StartPorts = rules.within(
    startPortsOf({
      ...{ config, log, redaction, supervision, supervisor, approvals, detacher, store, git },
      ...{ policy: rules.policy, requesters: records.requesters, runner: name, tellings: NO_TELLINGS, reporting: null, remote: NO_REMOTE_RUNS, outage: null },
    }),
  );
  const services: RunnerServices = {
    ...{ store, git, redaction, log, settings: start.settings, remote: NO_REMOTE },
    busyElsewhere: () => Promise.resolve(null),
    startFor(call) {
      const ledger = records.ledgerFor(call);
      return over(start, { ledger, supervision: { ...supervision, ledger } });
    },
  };
  const engine = recent(() => start.executor.status(), ENGINE_FRESH_MS, systemClock);
  const announcement = async (): Promise<Omit<Announcement, 'key'>> => {
    const { available, version, problem } = await engine();
    const workspaces = (await store.list()).filter(({ runnable }) => runnable).map(offered);
    const { kind } = start.executor;
    return { name, labels: config.labels, version: VERSION, engine: { kind, available, version, problem }, workspaces };
  };
  return {
    ...{ config, log, name, supervision, supervisor, approvals, detacher },
    attend: () =>
      attend({
        ...{ source: records.calls, name, announcement, log },
        handle: (call) => answerCall(services, call),
        heard: rules.heard,
        ids: createIds(systemClock),
        clock: systemClock,
      }),
    close: () => records.close(),
  };
} // prettier-ignore

function recordsOf(config: Config, log: Log): RunnerLedger {
  const { server, runnerKey, home, logMaxBytes: maxBytes } = config;
  if (server === null || runnerKey === null) {
    throw new AppError('configuration', `a runner needs ${server === null ? '--server' : 'POLYCRATE_MCP_RUNNER_KEY'}`, {
      next: 'polycrate-mcp runner --server URL, with a key from: polycrate-mcp keys create --role machine --name NAME',
    });
  }
  const { place } = createProcessTable(home).self();
  if (place === undefined) throw new AppError('configuration', `the data folder ${home} cannot be written`);
  return createRunnerLedger({
    ...{ url: server, key: () => runnerKey, place, clock: systemClock, log },
    fetch: fetchOf(config),
    local: { logs: createLogFiles({ home, maxBytes }), pieces: createLogPieces({ home, maxBytes }) },
  });
} // prettier-ignore

interface Rules {
  policy: PolicyPorts;
  heard(rules: RulesInForce): void;
  /** The server has said them. */
  known(): boolean;
  /** The same with the run mode that the server has at that moment. */
  within(ports: StartPorts): StartPorts;
}

/** What decides is the server's: as it said last, and nothing runs before it has. */
function rulesFrom(config: Config): Rules {
  const none: RulesInForce = { mode: 'read-only', policy: 'the server has not said its rules yet', zone: config.timezone };
  let last = none;
  return {
    heard: (rules) => void (last = rules),
    known: () => last !== none,
    policy: {
      get policies() {
        if (last.mode !== 'policy') return null;
        const current = (): Promise<Exclude<RulesInForce['policy'], null>> => Promise.resolve(last.policy ?? 'no policy is loaded');
        return { current, standing: () => Promise.reject(new AppError('internal', 'the server tells how its policy stands')) };
      },
      // Who is who the server knows, and looks at when the intent comes.
      people: () => Promise.resolve({ ...NOBODY, personOf: () => 'somebody' }),
      zone: () => last.zone,
    },
    within(ports) {
      const limits = { ...ports.settings.limits };
      Object.defineProperty(limits, 'mode', { get: () => last.mode, enumerable: true });
      return { ...ports, settings: { ...ports.settings, limits } };
    },
  };
} // prettier-ignore

/** Calls that are the same are found by the server, which knows whom it told. */
const NO_TELLINGS: StartPorts['tellings'] = { claim: () => Promise.resolve(null) };

const NO_REMOTE_RUNS: RemoteRuns = {
  on: false,
  plan: () => Promise.reject(new AppError('refused', 'a runner asks no Polycrate API to execute anything')),
  knows: () => Promise.resolve(false),
  refuseBeside: () => Promise.resolve(),
};

const NO_REMOTE = {
  workspaces: () => Promise.resolve([]),
  blocks: () => Promise.resolve([]),
} as unknown as RunnerServices['remote'];
