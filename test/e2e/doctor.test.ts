import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDriver, checkNode } from '../../src/commands/doctor/machine.ts';
import { itWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { connect, MAIN, tempFolder } from '../support/mcp.ts';

let temp: Awaited<ReturnType<typeof tempFolder>>;
let home: string;
let workspaces: string;

beforeEach(async () => {
  temp = await tempFolder('doctor');
  home = join(temp.path, 'home');
  workspaces = join(temp.path, 'workspaces');
  await writeWorkspace('name: good\norganization: acme\nlabels:\n  environment: staging\n');
});
afterEach(() => temp.remove());

async function writeWorkspace(text: string): Promise<void> {
  await mkdir(join(workspaces, 'one'), { recursive: true });
  await writeFile(join(workspaces, 'one', 'workspace.poly'), text);
}

function examine(env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  const all = {
    PATH: process.env['PATH'] ?? '',
    HOME: temp.path,
    POLYCRATE_MCP_HOME: home,
    POLYCRATE_MCP_WORKSPACES: workspaces,
    POLYCRATE_MCP_EXECUTOR: 'local',
    ...env,
  };
  return new Promise((resolve) =>
    execFile(process.execPath, [MAIN, 'doctor'], { env: all, cwd: temp.path }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    ),
  );
}

const withEngine = (): Record<string, string> => ({
  POLYCRATE_MCP_EXECUTOR: 'docker',
  POLYCRATE_MCP_IMAGE: TEST_IMAGE,
  ...(process.env['DOCKER_HOST'] && { DOCKER_HOST: process.env['DOCKER_HOST'] }),
});

describe('doctor', () => {
  itWithEngine('finds everything well, and creates nothing', async () => {
    const { code, out, err } = await examine(withEngine());
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('ok       workspace acme/good (staging)');
    expect(out).toContain(`ok       image ${TEST_IMAGE} is present and allowed`);
    expect(out).toContain('does not exist yet: the first call creates it');
    expect(out).toContain('Everything is well.');
    expect(existsSync(home)).toBe(false);
  });

  it('tells the schema and the open runs of a ledger', async () => {
    const server = await connect({ home, env: { POLYCRATE_MCP_WORKSPACES: workspaces } });
    await server.call('get_status');
    await server.close();
    const { out } = await examine();
    expect(out).toContain(`ok       ledger ${home}/ledger.db: schema 1, 0 runs (0 open), 1 events`);
  });

  it('names every place where no engine answered', async () => {
    const { code, out } = await examine({
      POLYCRATE_MCP_EXECUTOR: 'auto',
      DOCKER_HOST: `unix://${temp.path}/no.sock`,
    });
    expect(code).toBe(1);
    expect(out).toContain('problem  executor docker: No container engine answers.');
    expect(out).toContain(`tried DOCKER_HOST unix://${temp.path}/no.sock`);
    expect(out).toContain('fix: start Docker or Podman');
  });

  itWithEngine('tells what becomes of images that are missing or not allowed', async () => {
    const missing = { ...withEngine(), POLYCRATE_MCP_IMAGE: 'registry.invalid/nothing:1' };
    await writeWorkspace(
      `name: good\norganization: acme\nconfig:\n  image:\n    reference: registry.invalid/other\n    version: "2"\n`,
    );
    const pulled = await examine(missing);
    expect(pulled.out).toContain(
      'warning  image registry.invalid/nothing:1 is missing: it is allowed, and the first run pulls it',
    );
    expect(pulled.out).toContain(
      'problem  image registry.invalid/other:2, which a workspace names, is not allowed',
    );
    const never = await examine({ ...missing, POLYCRATE_MCP_PULL: 'never' });
    expect(never.out).toContain(
      'problem  image registry.invalid/nothing:1 is missing, and POLYCRATE_MCP_PULL is never',
    );
  });

  it('shows the first problems of a workspace with file and line', async () => {
    await writeWorkspace('name: good\norganization: acme\nlabels: [\n');
    const { code, out } = await examine();
    expect(code).toBe(1);
    expect(out).toMatch(/problem {2}workspace .*: 2 errors\n {9}error: workspace\.poly:\d+: /);
  });

  it('names a folder of workspaces that is not there', async () => {
    const { code, out, err } = await examine({ POLYCRATE_MCP_WORKSPACES: join(temp.path, 'nowhere') });
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toContain(`problem  folder of workspaces ${temp.path}/nowhere does not exist`);
  });

  it('finds a data folder that cannot be written', async () => {
    const file = join(temp.path, 'file');
    await writeFile(file, '');
    const { code, out } = await examine({ POLYCRATE_MCP_HOME: join(file, 'home') });
    expect(code).toBe(1);
    expect(out).toContain(`problem  data folder ${file}/home: ${file} is not a folder`);
    expect(out).toContain('fix: set POLYCRATE_MCP_HOME');
  });

  it('passes on what the settings warn of', async () => {
    const { out, err } = await examine({ POLYCRATE_MCP_HOMME: 'x' });
    expect(err).toBe('');
    expect(out).toMatch(/warning {2}POLYCRATE_MCP_HOMME is not a setting.*Did you mean POLYCRATE_MCP_HOME\?/);
  });

  it('knows what to do about an old Node.js and a driver that does not load', () => {
    expect(checkNode('20.18.0')).toMatchObject({ mark: 'ok' });
    expect(checkNode('20.17.9')).toMatchObject({ mark: 'problem', fix: 'install Node.js 20.18 or newer' });
    const broken = checkDriver(() => {
      throw new Error('Could not locate the bindings file.\nTried: …');
    });
    expect(broken).toMatchObject({
      mark: 'problem',
      text: 'better-sqlite3 cannot be loaded: Could not locate the bindings file.',
      fix: 'npm rebuild better-sqlite3',
    });
  });
});
