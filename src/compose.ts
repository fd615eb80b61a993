import { fileURLToPath } from 'node:url';
import type { KeyFiles } from './adapters/host/checkpoint-keys.ts';
import { createDetacher } from './adapters/host/detacher.ts';
import { createRunFiles, systemClock } from './adapters/host/host.ts';
import { createStderrLog } from './adapters/host/stderr-log.ts';
import { createPostgresLedger } from './adapters/postgres/index.ts';
import { createBackups, createSqliteLedger, type Backups } from './adapters/sqlite/index.ts';
import type { Authenticator } from './access/authenticate.ts';
import type { SignIn } from './access/sign-in.ts';
import { apiDirectoryOf } from './compose/api.ts';
import { authenticatorOf, holdersOf } from './compose/authenticator.ts';
import { signInOf, type SignInPlaces } from './compose/sign-in.ts';
import { reportingSupervision, submitterOf } from './compose/reporting.ts';
import { osPrincipal, recorderOf } from './compose/callers.ts';
import { ingestOf } from './compose/ingest.ts';
import { workspaceFilesOf } from './compose/workspaces.ts';
import { executorsOf } from './compose/executors.ts';
import { supervisionOf, verificationOf } from './compose/supervision.ts';
import { journalledOf, type Journalled } from './compose/journal.ts';
import { approvalsOf, type Approvals } from './compose/approvals.ts';
import { webhooksOf } from './compose/webhooks.ts';
import type { Webhooks } from './platform/webhooks.ts';
import { policyOf } from './compose/policy.ts';
import { runnerServiceOf } from './compose/runner-service.ts';
import type { RunnerService } from './runners/service.ts';
import { tracingOf } from './compose/tracing.ts';
import type { Config } from './config.ts';
import { resolveInterval } from './history/interval.ts';
import type { Records } from './history/records.ts';
import { createApprovalWatch, type ApprovalWatch } from './runs/conduct-approvals.ts';
import { conductWorkflow } from './runs/conduct.ts';
import type { ApiDirectory } from './platform/endpoints.ts';
import { apiMirrorOf } from './compose/mirror.ts';
import { remoteFollowerOf } from './compose/remote-runs.ts';
import type { ApiMirror } from './platform/mirror.ts';
import type { Submitter } from './platform/submit.ts';
import type { StartPorts } from './runs/start.ts';
import { createSupervisor, type Supervisor } from './runs/supervisor.ts';
import type { SupervisionPorts } from './runs/supervision.ts';
import { createApiKeys, requestersOf, type ApiKeys, type KeyHolders } from './ledger/api-keys.ts';
import type { LedgerUpkeep } from './ledger/upkeep.ts';
import type { VerifyPorts } from './ledger/verify-ledger.ts';
import type { ServerParts } from './server/mcp-server.ts';
import type { Log } from './shared/ports.ts';
import { createRedaction } from './shared/redact/redaction.ts';
import { secretValues } from './shared/secrets.ts';
import type { Services } from './tools/services.ts';
import { withRunners } from './tools/forwarded.ts';
import { tools } from './tools/index.ts';
import type { Tool } from './tools/tool.ts';
import { watched } from './workspaces/known.ts';
import { offeredWorkspaces } from './runners/offered-workspaces.ts';
import { servicesOf } from './compose/services.ts';

export { composeRunner, type RunnerApp } from './compose/runner.ts';

/** Everything one process needs, wired; nothing has been opened, started or written yet. */
export interface App {
  config: Config;
  log: Log;
  services: Services;
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  approvals: ApprovalWatch;
  answers: Approvals;
  webhooks: Webhooks;
  detacher: StartPorts['detacher'];
  verification: Omit<VerifyPorts, 'keys'> & { keys: () => KeyFiles };
  upkeep: LedgerUpkeep;
  /** Of a ledger that is a file. */
  backups: Backups;
  archive: Records['archive'];
  mirrored: Records['mirror'];
  keys: ApiKeys;
  holders: KeyHolders;
  /** Knows keys and tokens; `path` is that of the MCP endpoint, which tokens name as their audience. */
  authenticatorFor(path: string): Authenticator;
  /** Where people log in at the issuer; null: nowhere. */
  signInFor(places: SignInPlaces): SignIn | null;
  outbox: Records['outbox'];
  apis: ApiDirectory;
  submitter: Submitter;
  mirror: ApiMirror;
  /** What stands in for a database that is away; null: nothing does. */
  journal: Journalled | null;
  /** Takes runs that others report here. */
  ingest: ReturnType<typeof ingestOf>;
  /** What a server answers its runners. */
  runners: RunnerService;
  server: Omit<ServerParts, 'onFirstCall'>;
  /** Does ahead, once, what a first question would wait for. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

export interface ComposeOptions {
  config: Config;
  /** Flags to start further processes of this program with the same settings. */
  flags: readonly string[];
  /** False: a server that leaves workspaces, engine and executions to its runners. */
  executes: boolean;
}

/** The only place that builds adapters and hands them to use cases and tools. */
export function compose({ config, flags, executes }: ComposeOptions): App {
  const redaction = createRedaction();
  redaction.learn('settings', {
    secrets: secretValues({
      url: config.databaseUrl,
      key_password: config.encryptionKey,
      client_secret: config.oidcClientSecret,
    }),
    names: [],
  });
  const log = createStderrLog(config.logLevel, (fields) => redaction.json(fields));
  const files = createRunFiles(config.home);
  const executors = executorsOf(config, files, log);
  const ledger = recordsOf(config, log);
  const journal = executes
    ? journalledOf({ config, log, database: ledger, executors, worker: LEDGER_WORKER })
    : null;
  const records = journal?.records ?? ledger;
  const keys = createApiKeys(records.house, systemClock);
  const holders = holdersOf(keys, records, journal?.outage ?? null);
  const tracing = tracingOf(config, log);
  const apis = apiDirectoryOf(config, redaction);
  const verification = verificationOf({ config, log, records });
  const plain = supervisionOf({ config, log, records, files, executors, executes });
  const submitter = submitterOf({ records, supervision: plain, apis, verification });
  const supervision = reportingSupervision(plain, submitter);
  const approvals = createApprovalWatch(() => services.start);
  const supervisor = createSupervisor(supervision, {
    workflow: (run, how) => conductWorkflow(services.start, run, how),
    approvals: () => approvals.look(),
    remote: (run) => follower(run),
  });
  const detacher = createDetacher({ script: fileURLToPath(new URL('./main.js', import.meta.url)), flags });
  const store = executes
    ? watched(workspaceFilesOf(config, log), redaction)
    : offeredWorkspaces(records.exchange, systemClock);
  const mirror = apiMirrorOf({
    config,
    log,
    records,
    apis,
    store,
    redaction,
    processes: plain.processes,
    verification,
  });
  const follower = remoteFollowerOf({ records, apis, supervision, store, redaction });
  const policy = policyOf({ config, house: records.house, by: osPrincipal(), clock: systemClock, log });
  const recorder = recorderOf({ config, records, redaction, log });
  const answers = approvalsOf({ config, records, policy, recorder, redaction, store, keys });
  const services = servicesOf({
    ...{ config, log, redaction, records, supervision, supervisor, approvals, detacher },
    requesters: requestersOf(holders),
    ...{ apis, submitter, store, mirror, policy, recorder, approvalLink: answers.link },
    outage: journal?.outage ?? null,
  });
  let prepared: Promise<void> | null = null;
  return {
    config,
    log,
    services,
    supervision,
    supervisor,
    approvals,
    answers,
    webhooks: webhooksOf({ config, records, redaction, link: answers.link, log }),
    detacher,
    verification,
    upkeep: records.upkeep,
    backups: createBackups({ home: config.home, worker: LEDGER_WORKER }),
    archive: records.archive,
    mirrored: records.mirror,
    keys,
    holders,
    authenticatorFor: (path) => authenticatorOf({ config, holders, path }),
    signInFor: (places) => signInOf({ config, log }, places),
    outbox: records.outbox,
    apis,
    submitter,
    mirror,
    journal,
    // What is of others stays where they can find it.
    runners: runnerServiceOf({
      config,
      records: ledger,
      policy,
      recorder,
      reporting: services.start.reporting,
      requesters: services.start.requesters,
      executes,
    }),
    ingest: ingestOf({ records: ledger, store, logs: supervision.logs, redaction }),
    server: {
      services,
      tools: toolsOf(config, executes),
      identity: { principal: osPrincipal(), roles: ['admin'], scope: null },
      log,
      tracing,
    },
    prepare: () => (prepared ??= prepare(records, config)),
    async close() {
      await Promise.all([submitter.stop(), mirror.close(), tracing?.close(), journal?.keeper.stop()]);
      await apis.close();
      await services.foreign.close();
      await services.recorder.close();
      await records.close();
    },
  };
}

async function prepare(records: Records, config: Config): Promise<void> {
  // Loads the libraries and the tables of time zones.
  const times = async (): Promise<unknown> =>
    resolveInterval({}, { now: systemClock.now(), zone: config.timezone });
  // What does not work is told to whoever asks.
  await Promise.allSettled([records.prepare(), times()]);
}

function toolsOf({ runMode }: Config, executes: boolean): readonly Tool[] {
  const offered = runMode === 'read-only' ? tools.filter(({ effect }) => effect === 'reads') : tools;
  return executes ? offered : withRunners(offered);
}

const LEDGER_WORKER = new URL('./ledger-worker.js', import.meta.url);

/** The ledger of this process: one file of its own, or a database that several servers share. */
function recordsOf({ databaseUrl, home }: Config, log: Log): Records {
  if (databaseUrl !== null) return createPostgresLedger({ url: databaseUrl, log });
  return createSqliteLedger({ home, worker: LEDGER_WORKER });
}
