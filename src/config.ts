import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseEnv } from 'node:util';
import { readCommandLine, type Command, type CommandLine } from './config/command-line.ts';
import { AppError } from './shared/errors.ts';
import { didYouMean } from './config/nearest.ts';
import { HOST_ZONE, type Place } from './config/parsers.ts';
import { PREFIX, SETTINGS, type Setting, type Values } from './config/settings.ts';
import { readNamedFile, readValues, type Sources, type Variables } from './config/values.ts';

export { DEFAULT_IMAGE, DEFAULT_IMAGES, VERSION } from './config/version.ts';
export { envExample, helpText, settingsTable } from './config/render.ts';
export { isLoopback } from './config/parsers.ts';
export type { Command, KeyVerb, LedgerVerb, MirrorVerb, OutboxVerb } from './config/command-line.ts';

/** What the rest of the program knows of flags and environment. */
export interface Config extends Omit<Values<typeof SETTINGS>, 'workspaces'> {
  /** `named: false` marks the current folder, which is listed but may run nothing. Absolute paths. */
  readonly workspaceRoots: readonly { path: string; named: boolean }[];
  /** The user's home folder. */
  readonly userHome: string;
  /** How the Polycrate API is reached; null: without. */
  readonly proxies: { http: string | null; https: string | null; none: string | null };
  /** The only variables of our environment that a child process may get. */
  readonly childEnvironment: Readonly<Record<string, string>>;
}

export interface Invocation {
  config: Config;
  /** For the operator, on stderr. */
  warnings: readonly string[];
  command: Command;
  /** What followed the command and its verb. */
  args: readonly string[];
  /** `verify` in `ledger verify`, and its own flags without dashes. */
  verb: string | null;
  options: Readonly<Record<string, string>>;
  /** The flags again, for further processes of this program with the same settings. */
  flags: readonly string[];
}

export interface Surroundings {
  argv: readonly string[];
  env: Variables;
  cwd: string;
  home: string;
  /** The host's zone, and what separates paths in a list: both default to this process's own. */
  timezone?: string;
  delimiter?: string;
}

const CHILD_ENVIRONMENT = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'USER',
  'LOGNAME',
  'TMPDIR',
  'SSH_AUTH_SOCK',
  'XDG_RUNTIME_DIR',
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_CONFIG',
  'DOCKER_CERT_PATH',
  'DOCKER_TLS_VERIFY',
];

/** Switches of the project's own test suite, which are no settings of the product. */
const TEST_PREFIX = `${PREFIX}TEST_`;

/** The CLI's own, of which it has more than we read. */
const CLI_PREFIX = 'POLYCRATE_API_';
/** Everybody leaves out the second API, and another name is nearer. */
const KEY_WITHOUT_API = 'POLYCRATE_API_KEY';
const ONLY_FOR_THE_CLI = ['POLYCRATE_API_VALIDATE_WORKSPACE_ON_LOAD'];

function meantBy(name: string, { own, cli }: { own: readonly string[]; cli: readonly string[] }): string {
  if (name === KEY_WITHOUT_API) return ' Did you mean POLYCRATE_API_API_KEY?';
  return name.startsWith(PREFIX) ? didYouMean(name.slice(PREFIX.length), own, PREFIX) : didYouMean(name, cli);
}

function isOurs(name: string): boolean {
  if (name.startsWith(CLI_PREFIX)) return !ONLY_FOR_THE_CLI.includes(name);
  return name.startsWith(PREFIX) && !name.startsWith(TEST_PREFIX);
}

/** The one place where this process's arguments and environment are read. */
export function readConfig(): Invocation {
  return parseConfig({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd(), home: homedir() });
}

/** Pure but for the files that are named. Throws `configuration`, saying everything that is wrong. */
export function parseConfig(around: Surroundings): Invocation {
  const line = readCommandLine(around.argv);
  // Help must come however broken the settings are, hence from the defaults.
  const needed = line.command !== 'help' && line.command !== 'version';
  const sources: Sources = needed
    ? { flags: line.flags, env: around.env, envFile: readEnvFile(line.envFile) }
    : { flags: {}, env: {}, envFile: null };
  const { workspaces, timezone, ...values } = readValues(SETTINGS, sources, placeOf(around));
  if (values.checkpointEveryMs !== null && values.checkpointTo === null) {
    throw new AppError('configuration', 'POLYCRATE_MCP_CHECKPOINT_EVERY needs POLYCRATE_MCP_CHECKPOINT_TO.');
  }
  if (values.runMode === 'policy' && values.policyFile === null) {
    throw new AppError(
      'configuration',
      'POLYCRATE_MCP_RUN_MODE=policy needs POLYCRATE_MCP_POLICY, the file with the rules.',
    );
  }
  if (values.ledgerDown === 'spool' && values.databaseUrl === null && line.command !== 'runner') {
    throw new AppError(
      'configuration',
      'POLYCRATE_MCP_LEDGER_DOWN=spool needs POLYCRATE_MCP_DATABASE_URL: a ledger in the data folder is never away.',
    );
  }
  refuseHalfSignIn(values);
  let zone = timezone === HOST_ZONE ? around.timezone : timezone;
  const config: Config = {
    ...values,
    // Asked for when needed: it loads tables for longer than a tenth of a start.
    get timezone() {
      return (zone ??= Intl.DateTimeFormat().resolvedOptions().timeZone);
    },
    workspaceRoots: rootsOf(workspaces, around.cwd),
    userHome: around.home,
    proxies: proxiesOf(around.env),
    childEnvironment: pick(around.env, CHILD_ENVIRONMENT),
  };
  return {
    config,
    warnings: [...unknownVariables(sources), ...withoutEffect(config, line)],
    command: line.command,
    args: line.args,
    verb: line.verb,
    options: line.options,
    flags: flagsOf(line),
  };
}

function refuseHalfSignIn({ oidcIssuer, oidcClientId, oidcClientSecret, publicUrl }: Pick<Config, 'oidcIssuer' | 'oidcClientId' | 'oidcClientSecret' | 'publicUrl'>): void {
  const refusal = (text: string): AppError => new AppError('configuration', text);
  if (oidcClientId === null) {
    if (oidcClientSecret === null) return;
    throw refusal('POLYCRATE_MCP_OIDC_CLIENT_SECRET needs POLYCRATE_MCP_OIDC_CLIENT_ID, the client whose secret it is.');
  }
  if (oidcIssuer === null) throw refusal('POLYCRATE_MCP_OIDC_CLIENT_ID needs POLYCRATE_MCP_OIDC_ISSUER, where people log in.');
  if (publicUrl === null) throw refusal('POLYCRATE_MCP_OIDC_CLIENT_ID needs POLYCRATE_MCP_PUBLIC_URL, where the issuer sends people back to.');
} // prettier-ignore

/** What nobody could tell from the answers of a server. */
function withoutEffect({ ledgerDown, runMode }: Config, { command, options }: CommandLine): string[] {
  const executes = runMode !== 'read-only' && (command === 'stdio' || options['with-runner'] === 'true');
  if (ledgerDown === 'refuse' || executes || !SERVERS.includes(command)) return [];
  return [
    'POLYCRATE_MCP_LEDGER_DOWN=spool has no effect here: only a server that executes runs itself keeps a journal.',
  ];
}

const SERVERS: readonly Command[] = ['stdio', 'serve', 'runner'];

function flagsOf({ flags, envFile }: CommandLine): string[] {
  const given = envFile === null ? flags : { ...flags, 'env-file': envFile };
  return Object.entries(given).map(([name, value]) => `--${name}=${value}`);
}

function placeOf(around: Surroundings): Place {
  return {
    home: around.home,
    cwd: around.cwd,
    delimiter: around.delimiter ?? delimiter,
  };
}

/** Some Node versions read `--env-file=FILE` on their own account first; the outcome is the same. */
function readEnvFile(path: string | null): Sources['envFile'] {
  return path === null ? null : { path, values: parseEnv(readNamedFile('--env-file', path)) };
}

function rootsOf(named: readonly string[], cwd: string): Config['workspaceRoots'] {
  const roots = [...new Set(named)].map((path) => ({ path, named: true }));
  if (named.includes(cwd) || !existsSync(join(cwd, 'workspace.poly'))) return roots;
  return [...roots, { path: cwd, named: false }];
}

function pick(env: Variables, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/** Programs disagree about the case, so either counts. */
function proxiesOf(env: Variables): Config['proxies'] {
  const of = (name: string): string | null => env[name.toLowerCase()] || env[name] || null;
  return { http: of('HTTP_PROXY'), https: of('HTTPS_PROXY'), none: of('NO_PROXY') };
}

function unknownVariables({ env, envFile }: Sources): string[] {
  const entries: readonly Setting[] = Object.values(SETTINGS);
  const known = entries.flatMap(({ variable, secret }) =>
    secret ? [variable, `${variable}_FILE`] : [variable],
  );
  const own = known.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  const cli = known.filter((name) => name.startsWith(CLI_PREFIX));
  const warnings = (values: Variables, where: string): string[] =>
    Object.keys(values)
      .filter((name) => isOurs(name) && !known.includes(name))
      .map(
        (name) =>
          `${name}${where} is not a setting of this release and has no effect.` + meantBy(name, { own, cli }),
      );
  return [...warnings(env, ''), ...(envFile ? warnings(envFile.values, ` in ${envFile.path}`) : [])];
}
