import { Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bytesBelow } from '../support/canaries.ts';
import { describeWithEngine } from '../support/engine.ts';
import { TEST_IMAGE } from '../support/images.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { kill9, until } from '../support/traces.ts';
import { script, writeWorkspace } from '../support/workspaces.ts';

// Secrets of a workspace reach its actions and nobody else, encrypted ones included.

const PASSWORD = 'Harbour-Quartz-6617';
const TOKEN = 'kestrel_Meadow_9032_lantern';
const SHORT = 'zebra';

const SHOW = [
  'echo "password is $(grep -o Harbour-Quartz-6617 "$POLYCRATE_WORKSPACE_SNAPSHOT_YAML" | head -1)"',
  'grep -c Harbour-Quartz-6617 "$POLYCRATE_WORKSPACE_SNAPSHOT_YAML"',
  'file="$(dirname "$POLYCRATE_WORKSPACE_SNAPSHOT_YAML")/opened/artifacts/secrets/token.txt"',
  'cat "$file"; wc -c < "$file"; stat -c %a "$file"',
  'echo "admin_password: zebra, and a zebra elsewhere"',
];

let root: Awaited<ReturnType<typeof tempFolder>>;
let workspace: string;
let identity: string;
beforeAll(async () => {
  root = await tempFolder('secrets');
  identity = await generateIdentity();
  const image = TEST_IMAGE.split(':');
  workspace = await writeWorkspace(root.path, {
    name: 'vault',
    organization: 'tests',
    rest: { config: { image: { reference: image[0], version: image[1] } } },
    blocks: {
      app: {
        version: '1.0.0',
        config: { db: { password: 'unset' } },
        actions: [
          script('show', ...SHOW),
          script(
            'linger',
            'touch "$POLYCRATE_WORKSPACE/lingers"',
            'until test -e "$POLYCRATE_WORKSPACE/enough"; do sleep 0.05; done',
          ),
        ],
      },
    },
  });
  const secrets = `blocks: [{ name: app, config: { db: { password: ${PASSWORD} }, admin_password: ${SHORT} } }]\n`;
  await seal('secrets.poly.age', secrets);
  await seal('artifacts/secrets/token.txt.age', `${TOKEN}\n`);
});
afterAll(() => root.remove());

async function seal(name: string, text: string): Promise<void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  await mkdir(dirname(join(workspace, name)), { recursive: true });
  await writeFile(join(workspace, name), await encrypter.encrypt(text));
}

function server(
  home: string,
  env: Record<string, string> = { WORKSPACE_ENCRYPTION_KEY: identity },
): Promise<Connection> {
  return connect({
    home,
    env: {
      POLYCRATE_MCP_WORKSPACES: root.path,
      POLYCRATE_MCP_RUN_MODE: 'trusted',
      POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
      POLYCRATE_MCP_LOG_LEVEL: 'error',
      ...env,
    },
  });
}

const target = (action: string): Record<string, string> => ({ workspace: 'vault', block: 'app', action });

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describeWithEngine('encrypted secrets', () => {
  it.each(['docker', 'local'])('reach the action and leave no trace (%s)', async (executor) => {
    const home = await tempFolder('home');
    const connection = await server(home.path, {
      WORKSPACE_ENCRYPTION_KEY: identity,
      POLYCRATE_MCP_EXECUTOR: executor,
    });
    const answers: unknown[] = [
      await connection.call('plan_action', target('show')),
      await connection.call('get_block', { workspace: 'vault', block: 'app' }),
    ];
    const run = await connection.call('run_action', { ...target('show'), wait_seconds: 30 });
    expect(run.data).toMatchObject({ succeeded: true });
    const log = await connection.call('read_action_run_log', {
      run_id: run.data.run.id,
      mode: 'head',
      lines: 50,
    });
    expect(log.data.lines.map(({ text }: { text: string }) => text)).toEqual([
      'password is [secret]',
      '1',
      '[secret]',
      String(TOKEN.length + 1),
      '600',
      '[secret], and a zebra elsewhere',
    ]);
    await connection.close();
    const everything = JSON.stringify([answers, run, log]);
    for (const secret of [PASSWORD, TOKEN]) {
      expect(everything).not.toContain(secret);
      for (const [file, bytes] of await bytesBelow(home.path)) {
        expect(bytes.includes(secret), `${secret} in ${file}`).toBe(false);
      }
    }
    expect(await filesBelow(join(home.path, 'run'))).toEqual([]);
    await home.remove();
  });

  it('are gone after a crash as well, as soon as somebody looks', async () => {
    const home = await tempFolder('home');
    const first = await server(home.path);
    const run = await first.call('run_action', { ...target('linger'), wait_seconds: 0 });
    const { id } = run.data.run as { id: string };
    await until('the action runs', () => stat(join(workspace, 'lingers')).catch(() => null));
    const opened = join(home.path, 'run', id, 'opened/artifacts/secrets/token.txt');
    expect(await readFile(opened, 'utf8')).toBe(`${TOKEN}\n`);
    expect((await stat(opened)).mode & 0o777).toBe(0o600);
    expect((await stat(join(home.path, 'run', id, 'opened'))).mode & 0o777).toBe(0o700);
    await kill9(first);
    const second = await server(home.path, {});
    await writeFile(join(workspace, 'enough'), '');
    const { data } = await second.call('wait_for_action_run', { run_id: id, wait_seconds: 30 });
    expect(data).toMatchObject({ finished: true, succeeded: true });
    await until('its files are gone', async () => (await filesBelow(join(home.path, 'run'))).length === 0);
    await second.close();
    await home.remove();
  });

  it.each([
    [
      {},
      /encrypted, not decrypted: secrets\.poly\.age, artifacts\/secrets\/token\.txt\.age; run `polycrate workspace decrypt`/,
    ],
    [
      { WORKSPACE_ENCRYPTION_KEY: 'not the right passphrase' },
      /encrypted, not decrypted: .*; WORKSPACE_ENCRYPTION_KEY does not open them/,
    ],
  ])(
    'are said to be closed without their key, and nothing runs without secrets.poly: %j',
    async (env, words) => {
      const home = await tempFolder('home');
      const connection = await server(home.path, env);
      const { data } = await connection.call('plan_action', target('show'));
      expect(data.plan.warnings).toContainEqual(expect.stringMatching(words));
      expect(data.plan.policy).toMatchObject({
        decision: 'deny',
        rule: 'secrets:locked',
        remedy: expect.stringContaining('WORKSPACE_ENCRYPTION_KEY'),
      });
      const refused = await connection.call('run_action', target('show'));
      expect(refused.error).toMatchObject({
        code: 'refused',
        message: expect.stringContaining('secrets.poly.age'),
      });
      const { data: runs } = await connection.call('search_action_runs', {});
      expect(runs).toMatchObject({ total: 0 });
      await connection.close();
      await home.remove();
    },
  );
});
