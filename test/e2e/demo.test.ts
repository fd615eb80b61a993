import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { MAIN, tempFolder } from '../support/mcp.ts';

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;

// The demo makes its folder in TMPDIR: one of our own shows whether anything is left behind.
let temp: Awaited<ReturnType<typeof tempFolder>>;

beforeAll(async () => {
  temp = await tempFolder('demo-test');
});
afterAll(() => temp.remove());

interface Told {
  code: number | null;
  out: string;
  err: string;
}

async function tell(
  env: Record<string, string>,
  onText: (text: string, stop: () => void) => void,
): Promise<Told> {
  const inherited = { PATH: process.env['PATH'] ?? '', HOME: temp.path, TMPDIR: temp.path };
  const child = spawn(process.execPath, [MAIN, 'demo'], { env: { ...inherited, ...env } });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => onText((out += String(chunk)), () => child.kill('SIGINT')));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

const watch = (): void => undefined;

function expectWholeStory({ code, out, err }: Told): void {
  expect({ code, err }).toEqual({ code: 0, err: '' });
  for (const word of [
    'list_blocks',
    'plan_action',
    'run_action',
    'wait_for_action_run',
    'cancel_action_run',
  ]) {
    expect(out).toContain(`→ ${word}`);
  }
  expect(out).toContain('Run this action?');
  expect(out).toContain('cancelled, exit code');
  expect(out).toContain('password [secret]');
  const ids = new Set(out.match(ID));
  expect(ids.size).toBe(5);
  // Plain text: nobody looks at a terminal here.
  expect(out).not.toContain('\u001b');
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
}

describe('demo on this host', () => {
  it('tells its story to the end and leaves nothing behind', async () => {
    const told = await tell({ POLYCRATE_MCP_EXECUTOR: 'local' }, watch);
    expectWholeStory(told);
    expect(told.out).toContain(
      'Actions run as bash on this host, without a container: POLYCRATE_MCP_EXECUTOR is local',
    );
    expect(await readdir(temp.path)).toEqual([]);
  });

  it('falls back to this host where no engine answers, and says so', async () => {
    const stopEarly = (text: string, stop: () => void): void =>
      text.includes('→ list_blocks') ? stop() : undefined;
    const told = await tell({ DOCKER_HOST: `unix://${temp.path}/none.sock` }, stopEarly);
    expect(told.out.replaceAll('\n', ' ')).toContain('without a container: No container engine answers');
  });

  it('refuses to, where the operator asked for docker', async () => {
    const env = { DOCKER_HOST: `unix://${temp.path}/none.sock`, POLYCRATE_MCP_EXECUTOR: 'docker' };
    const told = await tell(env, watch);
    expect(told).toMatchObject({ code: 1, out: '' });
    expect(told.err).toContain('POLYCRATE_MCP_EXECUTOR is docker, but No container engine answers');
    expect(told.err).toContain('leave POLYCRATE_MCP_EXECUTOR away');
  });

  it('cleans up behind an interrupted story, the open run included', async () => {
    const stopInside = (text: string, stop: () => void): void =>
      text.includes('is running') ? stop() : undefined;
    const told = await tell({ POLYCRATE_MCP_EXECUTOR: 'local' }, stopInside);
    expect(told).toMatchObject({ code: 1, err: 'polycrate-mcp: the demo was interrupted\n' });
    expect(await readdir(temp.path)).toEqual([]);
  });
});

describeWithEngine('demo in containers', () => {
  it('tells the same story', async () => {
    const docker = process.env['DOCKER_HOST'];
    const told = await tell(
      { POLYCRATE_MCP_IMAGE: TEST_IMAGE, ...(docker && { DOCKER_HOST: docker }) },
      watch,
    );
    expectWholeStory(told);
    expect(told.out).toContain(`Actions run in containers of ${TEST_IMAGE}`);
    expect(await readdir(temp.path)).toEqual([]);
  });
});
