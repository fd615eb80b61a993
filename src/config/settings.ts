import * as read from './parsers.ts';
import { PREFIX, setting, type Setting, type Table } from './setting.ts';
import { RUNNER_SETTINGS } from './runner-settings.ts';
import { TEAM_SETTINGS } from './team-settings.ts';
import { API_SETTINGS } from './api-settings.ts';

export { PREFIX, type Setting, type Table, type Values } from './setting.ts';

/** Every setting that this release reads. Keys are the names in `Config`, with units where there are any. */
export const SETTINGS = {
  workspaces: setting({
    variable: 'POLYCRATE_MCP_WORKSPACES',
    meaning:
      'Workspaces, or folders of workspaces; the current folder, if it is a workspace, is listed too but runs nothing until named here.',
    form: 'paths, separated as in `PATH`',
    fallback: '~/.polycrate/workspaces',
    schema: read.paths,
  }),
  /** The data folder, not the user's. */
  home: setting({
    variable: 'POLYCRATE_MCP_HOME',
    meaning: 'Data folder: the ledger of Action Runs and their logs.',
    form: 'a path',
    fallback: '~/.polycrate/mcp',
    schema: read.path,
  }),
  signingKeyFile: setting({
    variable: 'POLYCRATE_MCP_SIGNING_KEY_FILE',
    meaning: 'Ed25519 private key that signs checkpoints of the ledger (PEM, PKCS #8).',
    form: 'a path',
    fallback: null,
    unset: '`checkpoint-key.pem` in the data folder, created when first needed',
    schema: read.path,
  }),
  retentionMs: setting({
    variable: 'POLYCRATE_MCP_RETENTION',
    meaning:
      'How long everything is kept: what `ledger prune` takes out without `--before`, with logs and with what is in `kept/` of the data folder. A server prunes nothing by itself; `get_status` and `doctor` say when it is due.',
    form: 'a duration such as `730d`, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.period),
  }),
  lostAfterMs: setting({
    variable: 'POLYCRATE_MCP_LOST_AFTER',
    meaning:
      'Servers on several machines that share a ledger: when a run is closed as `unknown` whose machine has not come back. Until then it stays open, since only there its execution and log can be seen.',
    form: 'a duration such as `3d`, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.duration),
  }),
  checkpointEveryMs: setting({
    variable: 'POLYCRATE_MCP_CHECKPOINT_EVERY',
    meaning: 'How old the newest checkpoint may get before a server that is used writes another one.',
    form: 'a duration such as `1d`, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.duration),
  }),
  checkpointTo: setting({
    variable: 'POLYCRATE_MCP_CHECKPOINT_TO',
    meaning: 'Where those checkpoints go; best where nobody who can write the ledger can write.',
    form: 'a file, a folder, or `git:REPOSITORY` for git notes',
    fallback: null,
    schema: read.anchorPlace,
  }),
  databaseUrl: setting({
    variable: 'POLYCRATE_MCP_DATABASE_URL',
    meaning:
      'PostgreSQL database that holds the ledger instead of a file, so that several servers share one history; logs of runs stay in the data folder.',
    form: '`postgres://USER:PASSWORD@HOST:PORT/DATABASE`',
    fallback: null,
    unset: '`ledger.db` in the data folder',
    secret: true,
    schema: () => read.databaseUrl,
  }),
  ledgerDown: setting({
    variable: 'POLYCRATE_MCP_LEDGER_DOWN',
    meaning:
      'While that database is away a server that executes runs itself starts none (`refuse`), or keeps a journal in its data folder for what is allowed without approval, limits and locks, and merges it when the database is back (`spool`).',
    form: '`refuse` or `spool`',
    fallback: 'refuse',
    schema: () => read.choice(['refuse', 'spool']),
  }),
  runMode: setting({
    variable: 'POLYCRATE_MCP_RUN_MODE',
    meaning:
      'Who decides about a run: nobody runs anything (`read-only`), a human approves each run (`ask`), the rules of a file decide (`policy`), or the confirmation of the client is enough (`trusted`).',
    form: '`read-only`, `ask`, `policy` or `trusted`',
    fallback: 'ask',
    schema: () => read.choice(['read-only', 'ask', 'policy', 'trusted']),
  }),
  policyFile: setting({
    variable: 'POLYCRATE_MCP_POLICY',
    meaning:
      'YAML file whose rules decide in the run mode `policy`: allow, approve or deny, the first that matches, and nothing without one. It may not lie in a workspace.',
    form: 'a path',
    fallback: null,
    schema: read.path,
  }),
  peopleFile: setting({
    variable: 'POLYCRATE_MCP_PEOPLE',
    meaning:
      'YAML file that tells which principals are the same person. Where two persons are asked for, only who is in it can approve.',
    form: 'a path',
    fallback: null,
    unset: 'nobody is known as a person',
    schema: read.path,
  }),
  executor: setting({
    variable: 'POLYCRATE_MCP_EXECUTOR',
    meaning:
      'Where actions run: in a container of the engine that is found (`auto`, `docker`), as bash on this host (`local`), or by the installed Polycrate CLI (`cli`), which chooses image, environment and mounts itself.',
    form: '`auto`, `docker`, `local` or `cli`',
    fallback: 'auto',
    schema: () => read.choice(['auto', 'docker', 'local', 'cli']),
  }),
  cli: setting({
    variable: 'POLYCRATE_MCP_CLI',
    meaning: 'The Polycrate CLI that the executor `cli` calls.',
    form: 'a path',
    fallback: null,
    unset: '`polycrate` in `PATH`',
    schema: read.path,
  }),
  image: setting({
    variable: 'POLYCRATE_MCP_IMAGE',
    meaning: 'Toolchain image for workspaces whose `config.image` names none.',
    form: 'an image reference',
    fallback: null,
    unset: 'the image that this release was tested with',
    schema: () => read.text,
  }),
  pull: setting({
    variable: 'POLYCRATE_MCP_PULL',
    meaning: 'When the toolchain image is pulled.',
    form: '`missing`, `never` or `always`',
    fallback: 'missing',
    schema: () => read.choice(['missing', 'never', 'always']),
  }),
  privateCopy: setting({
    variable: 'POLYCRATE_MCP_PRIVATE_COPY',
    meaning:
      'What a run executes that was approved or asked for by its digest: a copy of its block of which everything that the action writes is brought back into the workspace at its end (`on`); a copy that nothing can write into (`read-only`); or the files of the workspace, looked at once more right before (`off`).',
    form: '`on`, `read-only` or `off`',
    fallback: 'on',
    schema: () => read.choice(['on', 'read-only', 'off']),
  }),
  memoryBytes: setting({
    variable: 'POLYCRATE_MCP_MEMORY',
    meaning: 'Memory limit of a toolchain container.',
    form: 'a size such as `512m` or `2g`, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.bytes),
  }),
  cpus: setting({
    variable: 'POLYCRATE_MCP_CPUS',
    meaning: 'Processors that a toolchain container may use.',
    form: 'a number such as `1.5`, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.amount),
  }),
  pids: setting({
    variable: 'POLYCRATE_MCP_PIDS',
    meaning: 'Processes that a toolchain container may have.',
    form: 'a whole number, or `none`',
    fallback: 'none',
    schema: () => read.orNone(read.count),
  }),
  runTimeoutMs: setting({
    variable: 'POLYCRATE_MCP_RUN_TIMEOUT',
    meaning: 'A run that takes longer is stopped; a call can ask for a stricter limit.',
    form: 'a duration such as `30m` or `2h`, or `none`',
    fallback: '1h',
    schema: () => read.orNone(read.duration),
  }),
  logMaxBytes: setting({
    variable: 'POLYCRATE_MCP_LOG_MAX_BYTES',
    meaning: 'Stored log of one run; of a longer one head and tail are kept and the gap is recorded.',
    form: 'a size such as `16m`',
    fallback: '16m',
    schema: () => read.bytes,
  }),
  allowedMounts: setting({
    variable: 'POLYCRATE_MCP_ALLOWED_MOUNTS',
    meaning: 'Folders of this host, with all below them, that the `extramounts` of a workspace may use.',
    form: 'absolute paths, separated by commas',
    fallback: '',
    unset: 'none',
    schema: read.absolutePaths,
  }),
  allowedImages: setting({
    variable: 'POLYCRATE_MCP_ALLOWED_IMAGES',
    meaning: 'Images that a workspace may name besides the configured one.',
    form: 'image references, separated by commas, `*` at the end for any rest',
    fallback: '',
    unset: 'none',
    schema: () => read.imagePatterns,
  }),
  mountDockerSocket: setting({
    variable: 'POLYCRATE_MCP_MOUNT_DOCKER_SOCKET',
    meaning: 'Gives actions the socket of the container engine, and with it control of this host.',
    form: '`true` or `false`',
    fallback: 'false',
    schema: () => read.yesOrNo,
  }),
  extraHosts: setting({
    variable: 'POLYCRATE_MCP_EXTRA_HOSTS',
    meaning: 'Entries added to the hosts file of a toolchain container.',
    form: '`name:ip`, separated by commas',
    fallback: '',
    unset: 'none',
    schema: () => read.hostEntries,
  }),
  timezone: setting({
    variable: 'POLYCRATE_MCP_TIMEZONE',
    meaning: 'Zone in which words like "friday evening" are meant.',
    form: 'an IANA name such as `Europe/Berlin`, or `host`',
    fallback: 'host',
    schema: () => read.timezone,
  }),
  environmentsFile: setting({
    variable: 'POLYCRATE_MCP_ENVIRONMENTS',
    meaning:
      'YAML file that names the environment of workspaces, a line `organization/workspace: production` each.',
    form: 'a path',
    fallback: null,
    unset: 'labels and block configuration decide',
    schema: read.path,
  }),
  ...TEAM_SETTINGS,
  ...RUNNER_SETTINGS,
  ...API_SETTINGS,
  trail: setting({
    variable: 'POLYCRATE_MCP_TRAIL',
    meaning:
      'Whether every call of an assistant, with its redacted arguments and its outcome, is recorded in the ledger.',
    form: '`on` or `off`',
    fallback: 'on',
    schema: () => read.choice(['on', 'off']),
  }),
  logsImport: setting({
    variable: 'POLYCRATE_MCP_LOGS_IMPORT',
    meaning: 'Whether runs that the Polycrate CLI logged in workspaces (`.logs`) become part of the history.',
    form: '`on` or `off`',
    fallback: 'on',
    schema: () => read.choice(['on', 'off']),
  }),
  logLevel: setting({
    variable: 'POLYCRATE_MCP_LOG_LEVEL',
    meaning: 'What the server reports on stderr.',
    form: '`debug`, `info`, `warn` or `error`',
    fallback: 'info',
    schema: () => read.choice(['debug', 'info', 'warn', 'error']),
  }),
  otlpEndpoint: setting({
    variable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    meaning:
      'OpenTelemetry collector that takes traces of calls as OTLP over HTTP (needs the optional packages `@opentelemetry/*`). Arguments and results are no part of them.',
    form: '`http://HOST:4318` without the path',
    fallback: null,
    unset: 'no traces',
    schema: () => read.collector,
  }),
  encryptionKey: setting({
    variable: 'WORKSPACE_ENCRYPTION_KEY',
    meaning:
      'Opens encrypted files of workspaces (`*.age`) in memory for the runs that need them, as the Polycrate CLI does.',
    form: 'an age identity (`AGE-SECRET-KEY-1…`) or a passphrase',
    fallback: null,
    unset: 'encrypted files stay closed',
    secret: true,
    schema: () => read.passphrase,
  }),
  dockerHost: setting({
    variable: 'DOCKER_HOST',
    meaning: 'Address of the container engine, as for the docker command.',
    form: 'an address such as `unix:///var/run/docker.sock`',
    fallback: null,
    unset: 'the current docker context, then the usual sockets',
    schema: () => read.text,
  }),
} as const satisfies Table;

/** `--run-mode` for `POLYCRATE_MCP_RUN_MODE`; null for secrets and for variables that are not our own. */
export function flagOf(entry: Pick<Setting, 'variable' | 'secret'>): string | null {
  if (entry.secret || !entry.variable.startsWith(PREFIX)) return null;
  return entry.variable.slice(PREFIX.length).toLowerCase().replaceAll('_', '-');
}
