import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesBelow, RAW_CONTROL, stringsOf, tracesOf } from '../support/canaries.ts';
import { TEST_IMAGE } from '../support/images.ts';
import { MAIN, tempFolder } from '../support/mcp.ts';
import { modernMeta, startRaw, type Raw } from '../support/raw.ts';
import { script, writeWorkspace } from '../support/workspaces.ts';

const SPILL = new URL('../fixtures/spill.py', import.meta.url).pathname;
const PLAIN = 'kestrel7-Amber/Quartz+9';
const CANARIES = {
  config: PLAIN,
  quoted: `Lo"ng'ship & Harb\\our%42 f\u00fcr \u20ac`,
  extraenv: 'zYx98WvU76tSr54QpO32nMl',
  file: 'wintergreen_Lantern_4471_orchid',
  url: 'Marble.Falcon-Tide.6120',
  key: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim(),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs1', format: 'pem' })
    .toString()
    .trim(),
};

/** What was never declared anywhere and is known by its looks alone. */
const STRANGERS = ['ghp_Zq81Xw72Cv63Bn54Mk45Lj36Hg27Fd18Sa09', 'Bearer qA8.wS7-eD6_rF5~tG4yH3'];

let root: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  root = await tempFolder('canaries');
  const image = TEST_IMAGE.split(':');
  const spill = script('spill', 'python3 spill.py canaries.json');
  await writeWorkspace(root.path, {
    name: 'vault',
    organization: 'tests',
    rest: {
      description: `keep ${PLAIN} safe`,
      config: { image: { reference: image[0], version: image[1] } },
      extraenv: [`HCLOUD_TOKEN=${CANARIES.extraenv}`],
      blocks: ['keeper', 'broken'].map((name) => ({ name })),
    },
    blocks: {
      keeper: {
        version: '1.0.0',
        description: `uses ${PLAIN}`,
        config: {
          db: { password: CANARIES.config, nested: [{ api_token: CANARIES.quoted }] },
          database_url: `postgres://app:${CANARIES.url}@db.example.com/app`,
          comment: `not ${PLAIN} by name`,
        },
        actions: [
          { ...spill, description: `prints ${PLAIN}` },
          { ...script('asked', 'true'), prompt: `${'y'.repeat(990)} really print ${PLAIN}?` },
          script('strangers', ...STRANGERS.map((one) => `echo 'found ${one} there'`)),
          script('linger', `echo ${PLAIN}`, 'sleep 60'),
        ],
      },
    },
    files: {
      'blocks/broken/block.poly': `name: broken\nconfig:\n  password: "${PLAIN}\n  ${PLAIN}: [\n`,
      'blocks/keeper/spill.py': await readFile(SPILL, 'utf8'),
      'blocks/keeper/canaries.json': JSON.stringify(Object.values(CANARIES)),
      'artifacts/secrets/api.txt': `${CANARIES.file}\n`,
      'artifacts/secrets/deploy.key': `${CANARIES.key}\n`,
      'artifacts/secrets/id_rsa': `${CANARIES.rsa}\n`,
    },
  });
});
afterAll(() => root.remove());

interface Outside {
  /** What `ledger printed` says of a value that was printed, and of one that was not. */
  printed: { code: number | null; text: string }[];
  stdout: string;
  stderr: string;
  home: string;
}

/** Uses every tool and resource on the workspace, then answers all that left the server, and what it stored. */
async function useEverything(executor: 'local' | 'docker'): Promise<Outside> {
  const home = await tempFolder('canary-home');
  const server = startRaw({
    home: home.path,
    capabilities: { elicitation: {} },
    env: {
      POLYCRATE_MCP_WORKSPACES: root.path,
      POLYCRATE_MCP_EXECUTOR: executor,
      POLYCRATE_MCP_RUN_MODE: 'trusted',
      POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
      POLYCRATE_MCP_LOG_LEVEL: 'debug',
    },
  });
  try {
    await ask(server);
  } finally {
    await server.end();
  }
  const printed = [PLAIN, 'never-printed-9'].map((input) => {
    const env = { PATH: process.env['PATH'], POLYCRATE_MCP_HOME: home.path };
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'ledger', 'printed'], { input, env });
    return { code: status, text: String(stdout) };
  });
  const files = await bytesBelow(home.path);
  const stored = [...files].map(([name, bytes]) => `${name}\n${bytes}`).join('\n');
  await home.remove();
  // The filler of the long lines would only make the search long.
  const short = (text: string): string => text.replace(/x{99,}|y{99,}/g, '…');
  return { printed, stdout: short(shown(server)), stderr: short(server.stderr()), home: short(stored) };
}

async function ask(server: Raw): Promise<void> {
  const target = { workspace: 'tests/vault', block: 'keeper' };
  const reason = `because ${PLAIN}, also ${Buffer.from(PLAIN).toString('base64')}`;
  const run = async (action: string, more = {}): Promise<string> => {
    const answer = await server.call('run_action', { ...target, action, reason, wait_seconds: 50, ...more }, { _meta: { ...modernMeta(), progressToken: 7 } }); // prettier-ignore
    if (answer.result?.structuredContent === undefined) throw new Error(JSON.stringify(answer));
    return answer.result.structuredContent.run.id as string;
  };
  for (const tool of ['get_status', 'list_workspaces', 'list_blocks']) await server.call(tool);
  await server.call('get_block', target);
  await server.call('plan_action', { ...target, action: 'spill' });
  await server.call('plan_action', { ...target, action: PLAIN });
  await server.call('search_action_runs', { block: PLAIN });
  await server.call('run_action', { ...target, action: 'asked' });
  const spilt = await run('spill');
  await run('strangers');
  const lingering = await run('linger', { wait_seconds: 0 });
  await server.call('cancel_action_run', { run_id: lingering, reason });
  for (const run_id of [spilt, lingering]) {
    await server.call('get_action_run', { run_id });
    await server.call('wait_for_action_run', { run_id });
    for (const args of [{}, { mode: 'head', lines: 1000 }, { mode: 'grep', pattern: 'here', lines: 1000 }])
      await server.call('read_action_run_log', { run_id, ...args });
    for (const uri of [`polycrate://runs/${run_id}`, `polycrate://runs/${run_id}/log`])
      await server.request('resources/read', { uri });
  }
  await server.call('search_action_runs', { text: 'keeper' });
  await server.call('retrigger_action_run', { run_id: spilt, reason, wait_seconds: 50 });
  await server.request('resources/read', { uri: 'polycrate://workspaces/tests/vault' });
  await server.request('resources/read', { uri: 'polycrate://workspaces/tests/vault/blocks/keeper' });
}

/** stdout as it is, and as a client reads it. */
function shown({ lines }: Raw): string {
  return [...lines, ...new Set(lines.flatMap((line) => stringsOf(JSON.parse(line))))].join('\n');
}

describe.each(['local', 'docker'] as const)('what an action prints with the executor %s', (executor) => {
  let outside: Outside;
  beforeAll(async () => {
    outside = await useEverything(executor);
  }, 180_000);

  it('was really printed and stored, with its secrets masked', () => {
    expect(outside.home).toContain('the end');
    expect(outside.home).toContain('here it is: {"msg": "[secret]"} and on');
    expect(outside.stdout).toContain('here it is: [secret] and on');
    expect(outside.stdout).toContain('because [secret], also [secret]');
    expect(outside.stdout).toContain('uses [secret]');
  });

  it.each(Object.entries(CANARIES))('%s is nowhere: answers, progress, resources, stderr, ledger, logs', (_, canary) => {
    for (const line of canary.split('\n').filter((one, n) => !one.startsWith('-----') && n % 3 < 2)) {
      for (const [where, text] of Object.entries({ ...outside, printed: '' })) expect({ where, traces: tracesOf(line, text) }).toEqual({ where, traces: [] });
    }
  }); // prettier-ignore

  it.each(STRANGERS)('%s is masked in the log, by its looks', (stranger) => {
    const secret = stranger.replace('Bearer ', '');
    expect(tracesOf(secret, outside.home)).toEqual([]);
  });

  it('has no raw control character in any string that a client reads, nor on stderr', () => {
    expect(RAW_CONTROL.exec(outside.stdout)?.index).toBeUndefined();
    expect(RAW_CONTROL.exec(outside.stderr)).toBeNull();
  });

  it('is told by fingerprints in the record, one for each value', () => {
    const record = /"redactions":(\{.*?\],"values":\d+\})/.exec(outside.stdout)!;
    const { count, values, fingerprints } = JSON.parse(record[1]!);
    expect(values).toBe(Object.keys(CANARIES).length);
    expect(fingerprints).toHaveLength(values);
    expect(count).toBeGreaterThan(100);
    for (const { fingerprint } of fingerprints) expect(fingerprint).toMatch(/^[0-9a-f]{32}$/);
  });

  it('is told to who has the value and the ledger: ledger printed', () => {
    const [known, unknown] = outside.printed;
    expect(known).toMatchObject({ code: 3 });
    expect(known!.text).toMatch(/^[0-9a-f-]{36} {2}vault\/keeper spill {2}\d+ times$/m);
    expect(unknown).toEqual({ code: 0, text: 'No run of this ledger is known to have printed it.\n' });
  });
});
