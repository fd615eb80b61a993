import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const LINE = 'x'.repeat(99);
const LINES = 2_000_000;
const LOG_MAX = 1024 * 1024;

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    blocks: {
      noise: {
        config: { api_token: 'tok-0123456789' },
        actions: [
          script('flood', `yes ${LINE} | head -n ${LINES} || true`, 'echo the end >&2'),
          script('endless-line', "head -c 3000000 /dev/zero | tr '\\0' z", 'echo', 'echo after'),
          script('binary', 'head -c 300000 /dev/urandom', 'echo', 'echo after'),
          script(
            'terminal',
            `printf '\\033[31mred\\033[0m \\033]0;title\\007plain \\342\\200\\256evil\\n'`,
            `printf 'progress 1\\rprogress 2\\r\\n'`,
            `printf 'nul \\0 bell \\007\\n'`,
            `printf 'split \\303'; sleep 0.2; printf '\\244 tok-0123'; sleep 0.2; printf '456789 end\\n'`,
          ),
          script('deaf', "trap '' TERM INT HUP", 'echo going on', 'while :; do sleep 1; done'),
          script('silent', 'true'),
        ],
      },
    },
  });
  const env = { ...localSettings(root.path), POLYCRATE_MCP_LOG_MAX_BYTES: '1m' };
  server = await connect({ home: home.path, env });
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

async function run(action: string, more = {}): Promise<any> {
  const target = { workspace: 'shop', block: 'noise', action };
  let { data, error } = await server.call('run_action', { ...target, wait_seconds: 50, ...more });
  if (error) throw new Error(JSON.stringify(error));
  while (!data.finished)
    ({ data, error } = await server.call('wait_for_action_run', { run_id: data.run.id }));
  return data;
}
const log = async (run_id: string, args = {}): Promise<any> =>
  (await server.call('read_action_run_log', { run_id, ...args })).data;

it('200 MB of output are counted exactly, kept within the limit, and other calls go on meanwhile', async () => {
  const target = { workspace: 'shop', block: 'noise', action: 'flood', wait_seconds: 0 };
  const { data: started } = await server.call('run_action', target);
  const began = performance.now();
  await server.call('search_action_runs');
  expect(performance.now() - began).toBeLessThan(5_000);
  let { data } = await server.call('wait_for_action_run', { run_id: started.run.id, wait_seconds: 50 });
  while (!data.finished) ({ data } = await server.call('wait_for_action_run', { run_id: started.run.id }));
  expect(data).toMatchObject({ succeeded: true });
  const { run } = (await server.call('get_action_run', { run_id: started.run.id })).data;
  expect(run.log.lines).toBe(LINES + 1);
  expect(run.log.bytes).toBe(LINES * (LINE.length + 1) + 'the end\n'.length);
  // Two pipes: what was written last on one may be read before the rest of the other.
  const answer = await log(run.id, { lines: 3, stream: 'stderr' });
  expect(answer.lines.map(({ text }: any) => text)).toEqual(['the end']);
  expect(answer.total_lines).toBe(LINES + 1);
  expect(answer.gap).toMatchObject({ cause: 'cap' });
  const folder = join(home.path, 'logs', run.id.slice(0, 6));
  const files = (await readdir(folder)).filter((name) => name.startsWith(run.id));
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(LOG_MAX);
}, 120_000);

it('one endless line is stored in pieces, of which nothing is lost', async () => {
  const data = await run('endless-line');
  expect(data.log_tail.at(-1)).toBe('after');
  expect(data.log_tail.every((text: string) => text.length <= 500)).toBe(true);
  const { run: record } = (await server.call('get_action_run', { run_id: data.run.id })).data;
  expect(record.log.bytes).toBe(3_000_001 + 6);
});

it('binary noise is stored as text without control characters', async () => {
  const data = await run('binary');
  const { lines, total_lines } = await log(data.run.id, { mode: 'head', lines: 1_000 });
  expect(total_lines).toBeGreaterThan(100);
   
  expect(lines.map(({ text }: any) => text).join('')).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
}); // prettier-ignore

it('terminal sequences and invisible characters leave, secrets too, also where chunks split them', async () => {
  const data = await run('terminal');
  expect(data.log_tail).toEqual([
    'red plain evil',
    'progress 1␍progress 2',
    'nul ␀ bell ␇',
    'split ä [secret] end',
  ]);
});

it('an action that never ends and ignores the polite signal is stopped at its limit', async () => {
  const data = await run('deaf', { timeout_seconds: 1 });
  expect(data).toMatchObject({ succeeded: false, run: { status: 'failed', exit_code: 137 } });
  expect(data.run.status_reason).toContain('time limit');
  expect(data.run.duration_ms).toBeGreaterThanOrEqual(11_000);
  expect(data.log_tail).toEqual(['going on']);
});

it('an action without output has an empty log', async () => {
  const data = await run('silent');
  expect(data.log_tail).toEqual([]);
  expect(await log(data.run.id)).toMatchObject({ lines: [], total_lines: 0, next: null });
});
