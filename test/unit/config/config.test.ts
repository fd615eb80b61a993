import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig, type Invocation, type Surroundings } from '../../../src/config.ts';
import { AppError } from '../../../src/shared/errors.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'polycrate-mcp-config-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function parse(around: Partial<Surroundings> = {}): Invocation {
  return parseConfig({
    argv: [],
    env: {},
    cwd: '/srv/here',
    home: '/home/ada',
    timezone: 'Europe/Berlin',
    delimiter: ':',
    ...around,
  });
}

function refusal(around: Partial<Surroundings>): AppError {
  try {
    parse(around);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

it('webhooks name a format and an address, which no message repeats', () => {
  const read = (text: string) => parse({ env: { POLYCRATE_MCP_WEBHOOKS: text } }).config.webhooks;
  expect(read('json=https://a.example/x?y=1\nslack=http://b.example')).toEqual([
    { format: 'json', url: 'https://a.example/x?y=1' },
    { format: 'slack', url: 'http://b.example' },
  ]);
  for (const odd of [
    'https://a.example/secret',
    'teams=https://a.example/secret',
    'json=secret',
    'json=ftp://secret',
  ]) {
    expect(() => read(odd)).toThrow(/^POLYCRATE_MCP_WEBHOOKS has an entry that is not(?!.*secret)/);
  }
});

describe('defaults', () => {
  it('ask a human, run in a container and touch nothing outside', () => {
    const { config, command, args, warnings } = parse();
    expect({ command, args, warnings }).toEqual({ command: 'stdio', args: [], warnings: [] });
    expect(config).toEqual({
      workspaceRoots: [{ path: '/home/ada/.polycrate/workspaces', named: true }],
      home: '/home/ada/.polycrate/mcp',
      signingKeyFile: null,
      checkpointEveryMs: null,
      checkpointTo: null,
      databaseUrl: null,
      ledgerDown: 'refuse',
      otlpEndpoint: null,
      webhookSecret: null,
      webhooks: null,
      remoteRetrigger: false,
      lostAfterMs: null,
      retentionMs: null,
      server: null,
      runnerKey: null,
      runnerName: null,
      labels: {},
      runMode: 'ask',
      executor: 'auto',
      image: null,
      pull: 'missing',
      memoryBytes: null,
      cli: null,
      cpus: null,
      pids: null,
      runTimeoutMs: 3_600_000,
      logMaxBytes: 16 * 1024 * 1024,
      allowedMounts: [],
      allowedImages: [],
      mountDockerSocket: false,
      extraHosts: [],
      timezone: 'Europe/Berlin',
      trail: 'on',
      publicUrl: null,
      allowedHosts: [],
      allowedOrigins: [],
      rateLimit: 1_200,
      oidcIssuer: null,
      oidcAudience: null,
      oidcClientId: null,
      oidcClientSecret: null,
      stateKeyFile: null,
      logsImport: 'on',
      environmentsFile: null,
      mirrorBackfill: { kind: 'age', ms: 90 * 86_400_000 },
      mirrorMaxAgeMs: 60_000,
      peopleFile: null,
      policyFile: null,
      privateCopy: 'on',
      apiEnabled: null,
      apiUrl: null,
      apiKey: null,
      apiSubmit: null,
      apiEndpointsFile: null,
      submit: 'all',
      onRemoteConflict: 'warn',
      caFile: null,
      proxies: { http: null, https: null, none: null },
      logLevel: 'info',
      encryptionKey: null,
      dockerHost: null,
      userHome: '/home/ada',
      childEnvironment: {},
    });
  });

  it('hold for empty variables too', () => {
    expect(parse({ env: { POLYCRATE_MCP_RUN_MODE: '', DOCKER_HOST: '' } }).config).toEqual(parse().config);
  });
});

describe('values', () => {
  it('are parsed', () => {
    const { config } = parse({
      env: {
        POLYCRATE_MCP_WORKSPACES: '~/infra:/srv/acme:relative',
        POLYCRATE_MCP_HOME: '~',
        POLYCRATE_MCP_RUN_MODE: 'Trusted',
        POLYCRATE_MCP_EXECUTOR: 'local',
        POLYCRATE_MCP_IMAGE: 'registry.example.com:5000/tools:1.2',
        POLYCRATE_MCP_PULL: 'never',
        POLYCRATE_MCP_MEMORY: '2g',
        POLYCRATE_MCP_CPUS: '1.5',
        POLYCRATE_MCP_PIDS: '512',
        POLYCRATE_MCP_RUN_TIMEOUT: '1h30m',
        POLYCRATE_MCP_LOG_MAX_BYTES: '512k',
        POLYCRATE_MCP_ALLOWED_MOUNTS: '/data, ~/keys,',
        POLYCRATE_MCP_ALLOWED_IMAGES: 'registry.example.com/*, alpine:3',
        POLYCRATE_MCP_MOUNT_DOCKER_SOCKET: 'yes',
        POLYCRATE_MCP_EXTRA_HOSTS: 'db.example.com:127.0.0.1,v6.example.com:::1,host:host-gateway',
        POLYCRATE_MCP_TIMEZONE: 'America/New_York',
        POLYCRATE_MCP_ENVIRONMENTS: 'environments.yml',
        POLYCRATE_MCP_CHECKPOINT_EVERY: '1d',
        POLYCRATE_MCP_CHECKPOINT_TO: 'git:~/infra',
        POLYCRATE_MCP_LOG_LEVEL: 'debug',
        DOCKER_HOST: 'unix:///run/user/1000/docker.sock',
      },
    });
    expect(config).toMatchObject({
      workspaceRoots: ['/home/ada/infra', '/srv/acme', '/srv/here/relative'].map((path) => ({
        path,
        named: true,
      })),
      home: '/home/ada',
      checkpointEveryMs: 86_400_000,
      checkpointTo: 'git:/home/ada/infra',
      runMode: 'trusted',
      executor: 'local',
      image: 'registry.example.com:5000/tools:1.2',
      pull: 'never',
      memoryBytes: 2 * 1024 ** 3,
      cpus: 1.5,
      pids: 512,
      runTimeoutMs: 5_400_000,
      logMaxBytes: 512 * 1024,
      allowedMounts: ['/data', '/home/ada/keys'],
      allowedImages: ['registry.example.com/*', 'alpine:3'],
      mountDockerSocket: true,
      extraHosts: ['db.example.com:127.0.0.1', 'v6.example.com:::1', 'host:host-gateway'],
      timezone: 'America/New_York',
      environmentsFile: '/srv/here/environments.yml',
      logLevel: 'debug',
      dockerHost: 'unix:///run/user/1000/docker.sock',
    });
  });

  it('can switch limits off', () => {
    const { config } = parse({ argv: ['--run-timeout', 'none', '--memory=none'] });
    expect([config.runTimeoutMs, config.memoryBytes]).toEqual([null, null]);
  });

  it.each([
    ['POLYCRATE_MCP_WORKSPACES', '~eve/work', 'another user'],
    ['POLYCRATE_MCP_RUN_MODE', 'yolo', 'read-only'],
    ['POLYCRATE_MCP_MEMORY', 'lots', '512m'],
    ['POLYCRATE_MCP_MEMORY', '0', 'is not a size'],
    ['POLYCRATE_MCP_CPUS', '0', 'above 0'],
    ['POLYCRATE_MCP_PIDS', '-1', 'whole number'],
    ['POLYCRATE_MCP_RUN_TIMEOUT', '30', '30m'],
    ['POLYCRATE_MCP_RUN_TIMEOUT', '0s', 'above 0'],
    ['POLYCRATE_MCP_RUN_TIMEOUT', '25d', 'longer than 24 days'],
    ['POLYCRATE_MCP_LOG_MAX_BYTES', 'none', '16m'],
    ['POLYCRATE_MCP_HOME', ' ', 'is empty'],
    ['POLYCRATE_MCP_ALLOWED_MOUNTS', '/data,keys', 'not absolute'],
    ['POLYCRATE_MCP_ALLOWED_IMAGES', '*/evil', 'at the end'],
    ['POLYCRATE_MCP_MOUNT_DOCKER_SOCKET', 'maybe', 'neither yes nor no'],
    ['POLYCRATE_MCP_EXTRA_HOSTS', 'db.example.com', 'name:ip'],
    ['POLYCRATE_MCP_EXTRA_HOSTS', 'db.example.com:300.1.1.1', 'name:ip'],
    ['POLYCRATE_MCP_TIMEZONE', 'Berlin', 'IANA'],
    ['POLYCRATE_MCP_IMAGE', 'two words', 'without spaces'],
  ])('refuses %s=%s with what is wrong and what is valid', (variable, value, words) => {
    const error = refusal({ env: { [variable]: value } });
    expect(error.code).toBe('configuration');
    expect(error.message).toContain(`${variable} "${value}"`);
    expect(error.message).toContain(words);
    expect(error.message).toContain('Valid: ');
  });

  it('that need each other are refused alone', () => {
    expect(refusal({ env: { POLYCRATE_MCP_RUN_MODE: 'policy' } }).message).toContain('POLYCRATE_MCP_POLICY');
    expect(refusal({ env: { POLYCRATE_MCP_LEDGER_DOWN: 'spool' } }).message).toContain(
      'POLYCRATE_MCP_DATABASE_URL',
    );
    const client = { POLYCRATE_MCP_OIDC_CLIENT_ID: 'approvals' };
    const issuer = { POLYCRATE_MCP_OIDC_ISSUER: 'https://sso.example.com' };
    expect(refusal({ env: client }).message).toContain('needs POLYCRATE_MCP_OIDC_ISSUER');
    expect(refusal({ env: { ...client, ...issuer } }).message).toContain('needs POLYCRATE_MCP_PUBLIC_URL');
    const secret = { POLYCRATE_MCP_OIDC_CLIENT_SECRET: 'hush hush' };
    expect(refusal({ env: { ...issuer, ...secret } }).message).toMatch(
      /needs POLYCRATE_MCP_OIDC_CLIENT_ID(?!.*hush)/,
    );
  });

  it.each([
    [['serve'], {}, 1],
    [['serve', '--with-runner'], {}, 0],
    [[], {}, 0],
    [[], { POLYCRATE_MCP_RUN_MODE: 'read-only' }, 1],
    [['ledger', 'verify'], {}, 0],
  ])('that have no effect are told of: a journal of %j %j', (argv, more, times) => {
    const env = {
      POLYCRATE_MCP_LEDGER_DOWN: 'spool',
      POLYCRATE_MCP_DATABASE_URL: 'postgres://u:p@h/d',
      ...more,
    };
    expect(parse({ argv, env }).warnings).toEqual(
      Array(times).fill(expect.stringContaining('has no effect here')),
    );
  });

  it('are all judged at once', () => {
    const { message } = refusal({ env: { POLYCRATE_MCP_PULL: 'x', POLYCRATE_MCP_CPUS: 'y' } });
    expect(message.split('\n')).toHaveLength(2);
  });
});

describe('precedence', () => {
  it('is flag, environment, named file, default', () => {
    const file = join(folder, 'named.env');
    writeFileSync(
      file,
      'POLYCRATE_MCP_PULL=never\nPOLYCRATE_MCP_EXECUTOR=local\nPOLYCRATE_MCP_RUN_MODE=read-only\n',
    );
    const { config } = parse({
      argv: ['--env-file', file, '--run-mode=trusted'],
      env: { POLYCRATE_MCP_RUN_MODE: 'ask', POLYCRATE_MCP_EXECUTOR: 'docker' },
    });
    expect([config.runMode, config.executor, config.pull, config.logLevel]).toEqual([
      'trusted',
      'docker',
      'never',
      'info',
    ]);
  });

  it('names the file in which a value is wrong', () => {
    const file = join(folder, 'wrong.env');
    writeFileSync(file, 'POLYCRATE_MCP_PULL=often\n');
    expect(refusal({ argv: ['--env-file', file] }).message).toContain(
      `POLYCRATE_MCP_PULL in ${file} "often"`,
    );
  });

  it('never reads a .env that nobody named', () => {
    writeFileSync(join(folder, '.env'), 'POLYCRATE_MCP_RUN_MODE=trusted\n');
    expect(parse({ cwd: folder }).config.runMode).toBe('ask');
  });

  it('says when the named file is not there', () => {
    expect(refusal({ argv: ['--env-file', join(folder, 'missing')] }).message).toMatch(
      /--env-file .* no such file/,
    );
  });
});

describe('the current folder', () => {
  it('is a root without a name if it is a workspace', () => {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    expect(parse({ cwd }).config.workspaceRoots).toHaveLength(1);
    writeFileSync(join(cwd, 'workspace.poly'), 'name: here\n');
    expect(parse({ cwd }).config.workspaceRoots.at(-1)).toEqual({ path: cwd, named: false });
    expect(parse({ cwd, argv: ['--workspaces', '.'] }).config.workspaceRoots).toEqual([
      { path: cwd, named: true },
    ]);
  });
});

describe('child processes', () => {
  it('get an allow-list and none of our settings', () => {
    const env = { PATH: '/bin', HOME: '/home/ada', AWS_SECRET_ACCESS_KEY: 'x', POLYCRATE_MCP_PULL: 'never' };
    expect(parse({ env }).config.childEnvironment).toEqual({ PATH: '/bin', HOME: '/home/ada' });
  });
});

describe('unknown variables', () => {
  it('are warned of, with the closest name', () => {
    const { warnings } = parse({
      env: { POLYCRATE_MCP_RUNMODE: 'ask', POLYCRATE_MCP_ZEBRA: '1', POLYCRATE_MCP_TEST_X: '1' },
    });
    expect(warnings).toEqual([
      'POLYCRATE_MCP_RUNMODE is not a setting of this release and has no effect. Did you mean POLYCRATE_MCP_RUN_MODE?',
      'POLYCRATE_MCP_ZEBRA is not a setting of this release and has no effect.',
    ]);
  });
});
