import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, rm, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { startRaw, toolError } from '../support/raw.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
if (!isRoot)
  process.stderr.write('SKIPPED: tests that mount file systems or change the user. They need root.\n');

let root: Awaited<ReturnType<typeof tempFolder>>;
let marker: string;

beforeAll(async () => {
  root = await tempFolder('root');
  marker = join(root.path, 'it-ran');
  await chmod(root.path, 0o777);
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    blocks: {
      db: { actions: [script('touch', `touch ${marker}`)] },
      slow: { actions: [script('until', `while [ ! -e ${root.path}/go ]; do sleep 0.05; done`, 'echo done')] },
    },
  });
}); // prettier-ignore
afterAll(() => root.remove());

const TOUCH = { workspace: 'shop', block: 'db', action: 'touch', wait_seconds: 50 };
const ran = async (): Promise<boolean> => (await readdir(root.path)).includes('it-ran');

describe('without a container engine', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let server: Connection;
  beforeAll(async () => {
    home = await tempFolder('home');
    const { POLYCRATE_MCP_EXECUTOR: _, ...settings } = localSettings(root.path);
    const env = { ...settings, DOCKER_HOST: 'unix:///nowhere/docker.sock' };
    server = await connect({ home: home.path, env });
  });
  afterAll(async () => {
    await server.close();
    await home.remove();
  });

  it('a run is refused, names where it looked, and nothing is recorded as run', async () => {
    const { error } = await server.call('run_action', TOUCH);
    expect(error).toMatchObject({ code: 'engine_unavailable', message: expect.stringContaining('/nowhere/docker.sock') });
    const { data } = await server.call('search_action_runs', { include_excluded: true });
    expect(data.total).toBe(0);
    expect(await ran()).toBe(false);
  }); // prettier-ignore

  it('a plan says so, the status too, and everything else works', async () => {
    const { data } = await server.call('plan_action', { workspace: 'shop', block: 'db', action: 'touch' });
    expect(data.plan.warnings.join()).toContain('cannot run now');
    const status = (await server.call('get_status')).data;
    expect(status.executors[0]).toMatchObject({ kind: 'docker', available: false });
    expect((await server.call('list_workspaces')).data.total).toBe(1);
  });
});

describe.runIf(isRoot)('a data folder that cannot be written', () => {
  it('runs nothing, says what helps, and works once it is mended', async () => {
    const home = await tempFolder('home');
    await chown(root.path, NOBODY, NOBODY);
    const server = startRaw({
      home: join(home.path, 'data'),
      env: { ...localSettings(root.path), HOME: '/nonexistent' },
      spawn: { uid: NOBODY, gid: NOBODY },
    });
    try {
      for (const args of [TOUCH, { ...TOUCH, action: 'touch' }]) {
        const error = toolError(await server.call('run_action', args));
        expect(error).toMatchObject({ code: 'ledger_unavailable', next: expect.stringContaining('POLYCRATE_MCP_HOME') });
      }
      expect(toolError(await server.call('search_action_runs'))?.code).toBe('ledger_unavailable');
      expect(await ran()).toBe(false);
      await chown(home.path, NOBODY, NOBODY);
      const { result } = await server.call('run_action', TOUCH);
      expect(result.structuredContent).toMatchObject({ succeeded: true });
      await rm(marker);
    } finally {
      await server.end();
      await home.remove();
    }
  }); // prettier-ignore
});

describe.runIf(isRoot)('a data folder on a small disk', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    home = await tempFolder('home');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', home.path]);
  });
  afterAll(async () => {
    execFileSync('umount', ['-l', home.path]);
    await home.remove();
  });

  /** Leaves no byte free. */
  async function fill(): Promise<string> {
    const file = join(home.path, 'ballast');
    const { bavail, bsize } = await statfs(home.path);
    await writeFile(file, Buffer.alloc(bavail * bsize));
    return file;
  }

  it('runs nothing below the reserve, and records an end once there is space again', async () => {
    const server = await connect({ home: home.path, env: localSettings(root.path) });
    try {
      const slow = { workspace: 'shop', block: 'slow', action: 'until', wait_seconds: 0 };
      const { data } = await server.call('run_action', slow);
      const run_id = data.run.id as string;
      await untilRunning(server, run_id);
      const ballast = await fill();
      const { error } = await server.call('run_action', TOUCH);
      expect(error).toMatchObject({ code: 'ledger_unavailable', next: expect.stringContaining('disk space') });
      expect(await ran()).toBe(false);
      await writeFile(join(root.path, 'go'), '');
      const waited = await server.call('wait_for_action_run', { run_id, wait_seconds: 2 });
      expect(waited.data.finished).toBe(false);
      await rm(ballast);
      const ended = await server.call('wait_for_action_run', { run_id, wait_seconds: 30 });
      expect(ended.data).toMatchObject({ finished: true, succeeded: true, run: { status: 'success', exit_code: 0 } });
      expect((await server.call('run_action', TOUCH)).data).toMatchObject({ succeeded: true });
      await rm(marker);
    } finally {
      await server.close();
    }
  }); // prettier-ignore

  it('a full disk is refused with what helps, also for a ledger that is not there yet', async () => {
    const full = join(home.path, 'fresh');
    await mkdir(full);
    const ballast = await fill();
    const server = await connect({ home: full, env: localSettings(root.path) });
    try {
      const { error } = await server.call('run_action', TOUCH);
      expect(error).toMatchObject({
        code: 'ledger_unavailable',
        next: expect.stringContaining('disk space'),
      });
      expect(await ran()).toBe(false);
      await rm(ballast);
      expect((await server.call('search_action_runs')).data.total).toBe(0);
    } finally {
      await server.close();
    }
  });
});

async function untilRunning(server: Connection, run_id: string): Promise<void> {
  for (;;) {
    const { data } = await server.call('wait_for_action_run', { run_id, wait_seconds: 0.2 });
    if (data.run.status === 'running') return;
    expect(data.finished).toBe(false);
  }
}

describe('the current folder', () => {
  it('is listed if it is a workspace, but runs nothing, and its .env has no effect', async () => {
    const [home, other] = await Promise.all([tempFolder('home'), tempFolder('other')]);
    const path = await writeWorkspace(other.path, {
      name: 'here',
      organization: 'acme',
      blocks: { db: { actions: [script('touch', `touch ${marker}`)] } },
      files: { '.env': `POLYCRATE_MCP_WORKSPACES=${other.path}\nPOLYCRATE_MCP_RUN_MODE=read-only\n` },
    });
    const server = await connect({ home: home.path, env: localSettings(root.path), cwd: path });
    try {
      const { data } = await server.call('list_workspaces');
      expect(data.workspaces.map(({ name, runnable }: any) => [name, runnable])).toEqual([['here', false], ['shop', undefined]]);
      const { error } = await server.call('run_action', { workspace: 'here', block: 'db', action: 'touch' });
      expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining('workspace:not-named') });
      expect(error!.next).toContain('POLYCRATE_MCP_WORKSPACES');
      expect((await server.call('get_status')).data.policy.run_mode).toBe('trusted');
      expect(await ran()).toBe(false);
    } finally {
      await server.close();
      await Promise.all([home.remove(), other.remove()]);
    }
  }); // prettier-ignore
});

describe('images and mounts that the operator did not allow', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let outside: Awaited<ReturnType<typeof tempFolder>>;
  let inside: Awaited<ReturnType<typeof tempFolder>>;
  let server: Connection;
  beforeAll(async () => {
    [home, outside, inside] = await Promise.all([tempFolder('home'), tempFolder('outside'), tempFolder('inside')]);
    const { POLYCRATE_MCP_EXECUTOR: _, ...settings } = localSettings(inside.path);
    const blocks = { db: { actions: [script('hello', 'true')] } };
    const write = (name: string, rest: Record<string, unknown>) =>
      writeWorkspace(inside.path, { name, organization: 'acme', rest, blocks });
    await write('image', { config: { image: { reference: 'evil.example.com/x', version: '1' } } });
    await write('mount', { extramounts: ['/etc:/host-etc'] });
    await write('dots', { extramounts: ['../../..:/up'] });
    await write('prefix', { extramounts: [`${outside.path}-more:/more`] });
    const linked = await write('link', { extramounts: ['shortcut:/data'] });
    await symlink('/etc', join(linked, 'shortcut'));
    await write('fine', { extramounts: [`${outside.path}:/allowed`] });
    const allowed = { POLYCRATE_MCP_ALLOWED_MOUNTS: outside.path, POLYCRATE_MCP_IMAGE: 'polycrate-mcp-test/none:1', POLYCRATE_MCP_PULL: 'never' };
    server = await connect({ home: home.path, env: { ...settings, ...allowed } });
  }); // prettier-ignore
  afterAll(async () => {
    await server.close();
    await Promise.all([home, outside, inside].map((folder) => folder.remove()));
  });

  it.each([
    ['image', 'image:not-allowed', 'evil.example.com/x:1', 'POLYCRATE_MCP_ALLOWED_IMAGES'],
    ['mount', 'mount:not-allowed', '/etc', 'POLYCRATE_MCP_ALLOWED_MOUNTS'],
    ['dots', 'mount:not-allowed', 'lies outside', 'POLYCRATE_MCP_ALLOWED_MOUNTS'],
    ['prefix', 'mount:not-allowed', '-more', 'POLYCRATE_MCP_ALLOWED_MOUNTS'],
    ['link', 'mount:not-allowed', '/etc', 'POLYCRATE_MCP_ALLOWED_MOUNTS'],
  ])('workspace %s is refused by %s', async (workspace, rule, named, setting) => {
    const target = { workspace, block: 'db', action: 'hello' };
    const { error } = await server.call('run_action', target);
    expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining(rule) });
    expect(error!.message).toContain(named);
    expect(error!.next).toContain(setting);
    expect((await server.call('plan_action', target)).data.plan.policy).toMatchObject({
      decision: 'deny',
      rule,
    });
  });

  it('a mount that is allowed is not in the way', async () => {
    const { data } = await server.call('plan_action', { workspace: 'fine', block: 'db', action: 'hello' });
    expect(data.plan.policy.decision).toBe('allow');
    expect(data.plan.mounts).toContainEqual({ host: outside.path, container: '/allowed', readonly: false });
  });

  it('an image that is not there is a refusal or a truthful record, and the server stays', async () => {
    const { data, error } = await server.call('run_action', { workspace: 'fine', block: 'db', action: 'hello', wait_seconds: 30 });
    if (error) expect(['engine_unavailable', 'launch_failed']).toContain(error.code);
    else {
      expect(data).toMatchObject({ finished: true, succeeded: false, launched: false, next: expect.stringContaining('status_reason') });
      expect(data.run).toMatchObject({ status: 'failed', exit_code: null, started_at: null });
      expect(data.run.status_reason).toContain('polycrate-mcp-test/none:1');
    }
    expect((await server.call('search_action_runs')).data.total).toBe(0);
  }); // prettier-ignore
});
