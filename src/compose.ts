import { fileURLToPath } from 'node:url';
import { loadCheckpointKeys, type KeyFiles } from './adapters/host/checkpoint-keys.ts';
import { createDetacher } from './adapters/host/detacher.ts';
import { createIds, createRunFiles, hostFacts, realPath, systemClock } from './adapters/host/host.ts';
import { createProcessTable } from './adapters/host/process-table.ts';
import { createStderrLog } from './adapters/host/stderr-log.ts';
import { createLogFiles } from './adapters/log-files/index.ts';
import { createPostgresLedger } from './adapters/postgres/index.ts';
import { createBackups, createSqliteLedger, type Backups } from './adapters/sqlite/index.ts';
import { createWorkspaceFiles } from './adapters/workspace-files/index.ts';
import { executorsOf, type Executors } from './compose/executors.ts';
import { settingsOf } from './compose/run-settings.ts';
import { VERSION, type Config } from './config.ts';
import type { Records } from './history/records.ts';
import type { Caller, StartPorts } from './runs/start.ts';
import { createSupervisor, type Supervisor } from './runs/supervisor.ts';
import type { SupervisionPorts } from './runs/supervision.ts';
import { createTellings } from './runs/untold.ts';
import type { LedgerUpkeep } from './ledger/upkeep.ts';
import { createCallRecorder, NO_TRAIL, type CallRecorder } from './runs/trail.ts';
import type { VerifyPorts } from './ledger/verify-ledger.ts';
import type { ServerParts } from './server/mcp-server.ts';
import type { Log } from './shared/ports.ts';
import { recent } from './shared/recent.ts';
import { createRedaction, type Redaction } from './shared/redact/redaction.ts';
import { secretValues } from './shared/secrets.ts';
import type { Services } from './tools/services.ts';
import { tools } from './tools/index.ts';
import { watched } from './workspaces/known.ts';

/** Everything one process needs, wired; nothing has been opened, started or written yet. */
export interface App {
  config: Config;
  log: Log;
  services: Services;
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  detacher: StartPorts['detacher'];
  verification: Omit<VerifyPorts, 'keys'> & { keys: () => KeyFiles };
  upkeep: LedgerUpkeep;
  /** Of a ledger that is a file. */
  backups: Backups;
  archive: Records['archive'];
  server: Omit<ServerParts, 'onFirstCall'>;
  close(): Promise<void>;
}

export interface ComposeOptions {
  config: Config;
  /** Flags to start further processes of this program with the same settings. */
  flags: readonly string[];
}

/** The only place that builds adapters and hands them to use cases and tools. */
export function compose({ config, flags }: ComposeOptions): App {
  const redaction = createRedaction();
  redaction.learn('settings', {
    secrets: secretValues({ url: config.databaseUrl, key_password: config.encryptionKey }),
    names: [],
  });
  const log = createStderrLog(config.logLevel, (fields) => redaction.json(fields));
  const records = recordsOf(config, log);
  const executors = executorsOf(config, log);
  const supervision = supervisionOf({ config, log, records, executors });
  const supervisor = createSupervisor(supervision);
  const detacher = createDetacher({ script: fileURLToPath(new URL('./main.js', import.meta.url)), flags });
  const services = servicesOf({ config, log, redaction, records, supervision, supervisor, detacher });
  return {
    config,
    log,
    services,
    supervision,
    supervisor,
    detacher,
    verification: {
      check: records.check,
      keys: () => loadCheckpointKeys({ home: config.home, given: config.signingKeyFile }),
      clock: systemClock,
      log,
    },
    upkeep: records.upkeep,
    backups: createBackups({ home: config.home, worker: LEDGER_WORKER }),
    archive: records.archive,
    server: {
      services,
      tools: config.runMode === 'read-only' ? tools.filter(({ effect }) => effect === 'reads') : tools,
      principal: osPrincipal(),
      log,
    },
    async close() {
      await services.recorder.close();
      await records.close();
    },
  };
}

const LEDGER_WORKER = new URL('./ledger-worker.js', import.meta.url);

/** The ledger of this process: one file of its own, or a database that several servers share. */
function recordsOf({ databaseUrl, home }: Config, log: Log): Records {
  if (databaseUrl !== null) return createPostgresLedger({ url: databaseUrl, log });
  return createSqliteLedger({ home, worker: LEDGER_WORKER });
}

/** How old the status may be: a question that assistants ask often, and that decides nothing. */
const ENGINE_FRESH_MS = 5_000;
const OVERVIEW_FRESH_MS = 1_000;
const STANDING_FRESH_MS = 250;

interface SupervisionParts {
  config: Config;
  log: Log;
  records: Records;
  executors: Executors;
}

function supervisionOf({ config, log, records, executors }: SupervisionParts): SupervisionPorts {
  return {
    ledger: records.ledger,
    leases: records.leases,
    watch: records.watch,
    logs: createLogFiles({ home: config.home, maxBytes: config.logMaxBytes }),
    files: createRunFiles(config.home),
    executor: executors,
    processes: createProcessTable(),
    clock: systemClock,
    log,
  };
}

interface ServiceParts extends Omit<SupervisionParts, 'executors'> {
  redaction: Redaction;
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  detacher: StartPorts['detacher'];
}

function servicesOf({
  config,
  log,
  redaction,
  records,
  supervision,
  supervisor,
  detacher,
}: ServiceParts): Services {
  const settings = settingsOf(config);
  const executor = supervision.executor(settings.executor);
  const files = createWorkspaceFiles({
    roots: config.workspaceRoots,
    environmentsFile: config.environmentsFile,
    encryptionKey: config.encryptionKey,
    ageWorker: new URL('./age-worker.js', import.meta.url),
    log,
  });
  const store = watched(files, redaction);
  const { ledger, untold } = records;
  const tellings = createTellings({
    untold,
    ledger,
    processes: supervision.processes,
    clock: systemClock,
    log,
  });
  const start: StartPorts = {
    store,
    executor,
    files: supervision.files,
    ledger,
    settings,
    realPath,
    clock: systemClock,
    processes: supervision.processes,
    log,
    supervision,
    supervisor,
    detacher,
    tellings,
    ids: createIds(systemClock),
    host: hostFacts(),
    redaction,
  };
  return {
    version: VERSION,
    get zone() {
      return config.timezone;
    },
    store,
    ledger: records.ledger,
    leases: records.leases,
    history: records.history,
    trail: records.trail,
    recorder: recorderOf({ config, records, redaction, log }),
    toolNames: tools.map(({ name }) => name),
    watch: records.watch,
    logs: supervision.logs,
    clock: systemClock,
    settings,
    start,
    supervisor,
    anchoring:
      config.checkpointEveryMs === null || config.checkpointTo === null
        ? null
        : { every_ms: config.checkpointEveryMs, place: config.checkpointTo },
    tellings,
    retention_ms: config.retentionMs,
    redaction,
    roots: config.workspaceRoots.map(({ path }) => path),
    engine: recent(() => executor.status(), ENGINE_FRESH_MS, systemClock),
    overview: recent(() => store.list(), OVERVIEW_FRESH_MS, systemClock),
    standing: recent(() => records.ledger.status(), STANDING_FRESH_MS, systemClock),
  };
}

function recorderOf({
  config,
  records,
  redaction,
  log,
}: Pick<ServiceParts, 'config' | 'records' | 'redaction' | 'log'>): CallRecorder {
  if (config.trail === 'off') return NO_TRAIL;
  return createCallRecorder({
    append: (event) => records.trail.append(event),
    key: () => records.ledger.key(),
    redact: (text) => redaction.text(text),
    ids: createIds(systemClock),
    clock: systemClock,
    log,
  });
}

/** Over stdio the principal is the OS user that started the server. */
function osPrincipal(): Caller['principal'] {
  const { os_user, uid, hostname } = hostFacts();
  return { kind: 'os', issuer: hostname, subject: `${uid}:${os_user}`, display: os_user };
}
