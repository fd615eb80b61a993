import { execFileSync } from 'node:child_process';
import { cp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { TEST_IMAGE } from '../support/images.ts';
import { connect, type Connection, type Question, tempFolder } from '../support/mcp.ts';

// The 24 traps of Polycrate's formats, each as a workspace on disk (test/fixtures/traps), through a client.

const FIXTURES = new URL('../fixtures/traps', import.meta.url).pathname;

let root: Awaited<ReturnType<typeof tempFolder>>;
let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
const asked: Question[] = [];

beforeAll(async () => {
  [root, home] = await Promise.all([tempFolder('traps'), tempFolder('home')]);
  await cp(FIXTURES, root.path, { recursive: true });
  // What git or other systems would not keep in the fixtures.
  await rename(join(root.path, '18-colon'), join(root.path, '18:colon'));
  await symlink('../elsewhere', join(root.path, '09-links/blocks/linked'));
  server = await connect({
    home: home.path,
    env: {
      POLYCRATE_MCP_WORKSPACES: root.path,
      POLYCRATE_MCP_RUN_MODE: 'trusted',
      POLYCRATE_MCP_IMAGE: 'polycrate-mcp-test/other:9',
      POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
      POLYCRATE_MCP_LOG_LEVEL: 'error',
    },
    onAsk: (question) => {
      asked.push(question);
      return { action: 'decline' };
    },
  });
});
afterAll(async () => {
  await server.close();
  await Promise.all([root.remove(), home.remove()]);
});

const ask = async (tool: string, args: Record<string, unknown>): Promise<any> => {
  const { isError, error, data } = await server.call(tool, args);
  if (isError) throw new Error(JSON.stringify(error));
  return data;
};
const refusal = async (tool: string, args: Record<string, unknown>): Promise<any> => {
  const { isError, error } = await server.call(tool, args);
  expect(isError).toBe(true);
  return error;
};
const at = (trap: number, block: string, action?: string) => ({ workspace: `trap-${trap}`, block, ...(action && { action }) }); // prettier-ignore
const blockOf = async (trap: number, block: string) => (await ask('get_block', at(trap, block))).block;
const planOf = async (trap: number, block: string, action: string) => (await ask('plan_action', at(trap, block, action))).plan; // prettier-ignore
const matching = (words: RegExp): unknown => expect.stringMatching(words);

interface Ran {
  run: any;
  lines: { stream: string; text: string }[];
  texts: string[];
}

async function run(trap: number, block: string, action: string): Promise<Ran> {
  const { run } = await ask('run_action', { ...at(trap, block, action), wait_seconds: 50 });
  const { lines } = await ask('read_action_run_log', { run_id: run.id, mode: 'head', lines: 200 });
  return { run, lines, texts: lines.map(({ text }: { text: string }) => text) };
}

const TRAPS: Record<number, [string, () => Promise<void>]> = {
  1: ['false, 0 and "" of the workspace win, deeply, and the plan says that the 2025 CLI disagrees', async () => {
    expect((await blockOf(1, 'db')).config).toEqual({ enabled: false, replicas: 0, suffix: '', nested: { debug: false, level: 2 } });
    expect((await planOf(1, 'db', 'show')).warnings).toContainEqual(matching(/config\.enabled is empty and takes effect; the 2025 CLI/));
    expect((await run(1, 'db', 'show')).run.status).toBe('success');
  }],
  2: ['script lines run in order, in one shell, up to the first failure', async () => {
    expect((await run(2, 'steps', 'ordered')).texts).toEqual(['first', 'second kept /tmp']);
    const { run: stopped, texts } = await run(2, 'steps', 'stops');
    expect([stopped.status, texts]).toEqual(['failed', []]);
  }],
  3: ["the exit code is the container's own, and a failed run has its record and log", async () => {
    const failed = await run(3, 'job', 'fail');
    expect(failed.run).toMatchObject({ status: 'failed', exit_code: 42 });
    expect(failed.texts).toEqual(['so far']);
    expect((await ask('search_action_runs', { workspace: 'trap-3' })).runs).toMatchObject([{ exit_code: 42 }]);
  }],
  4: ['a prompt is shown to a human, who declines, and nothing runs', async () => {
    const error = await refusal('run_action', at(4, 'db', 'wipe'));
    expect(error.code).toMatch(/declined|refused|approval/);
    expect(asked.at(-1)!.message).toContain('Really wipe the database?');
    expect((await ask('search_action_runs', { workspace: 'trap-4' })).total).toBe(0);
  }],
  5: ['there is no terminal: streams apart, no colours, no carriage returns', async () => {
    const { lines } = await run(5, 'out', 'speak');
    const stream = (name: string) => lines.filter((line) => line.stream === name).map(({ text }) => text);
    expect(stream('stdout')).toEqual(['no terminal', 'red']);
    expect(stream('stderr')).toEqual(['apart']);
  }],
  6: ['playbooks see keys in their case, and the plan says that the 2025 CLI lower-cased them', async () => {
    expect((await planOf(6, 'app', 'show')).warnings).toContainEqual(matching(/lower case: FooBar, list\.innerKey/));
    expect((await run(6, 'app', 'show')).texts.join('\n')).toContain('it is 3');
  }],
  7: ['image and roots of workspace.poly beat the settings', async () => {
    const { blocks } = await ask('list_blocks', { workspace: 'trap-7' });
    expect(blocks.map(({ name }: any) => name)).toEqual(['here']);
    expect((await planOf(7, 'here', 'where')).image).toMatchObject({ reference: TEST_IMAGE, chosen_by: 'workspace.poly config.image' });
    expect((await run(7, 'here', 'where')).texts).toEqual(['/srv/work/parts/here']);
  }],
  8: ['the inner name is the identity, also without its registry host, and leads to its artifacts', async () => {
    const block = await blockOf(8, 'acme/db.v2:1.10');
    expect(block).toMatchObject({ name: 'cargo.example.com/acme/db.v2', version: '1.10', hosts: ['own.example'] });
    expect((await run(8, 'cargo.example.com/acme/db.v2', 'where')).texts).toEqual(['/workspace/blocks/cargo.example.com/acme/db']);
  }],
  9: ['a linked folder of a block is not followed', async () => {
    expect((await ask('list_blocks', { workspace: 'trap-9' })).blocks).toMatchObject([{ name: 'real' }]);
    expect(await refusal('get_block', at(9, 'linked'))).toMatchObject({ code: 'unknown_name' });
  }],
  10: ['one bad block.poly hides nothing, and each is told with file and line', async () => {
    const [works] = (await ask('list_workspaces', { query: 'trap-10' })).workspaces;
    const files = works.problems.map(({ file, line }: any) => `${file}:${line}`);
    expect(files).toEqual(expect.arrayContaining([matching(/broken\/block\.poly:3/), matching(/empty\/block\.poly/), matching(/nameless\/block\.poly:1/)]));
    expect((await run(10, 'good', 'hello')).texts).toEqual(['hello']);
  }],
  11: ['a k8sapp that workspace.poly mentions is an instance, one that it does not mention is none', async () => {
    expect([(await blockOf(11, 'mentioned')).kind, (await blockOf(11, 'alone')).kind]).toEqual(['k8sappinstance', 'k8sapp']);
  }],
  12: ['two instances of one block share no action and no inventory', async () => {
    expect((await run(12, 'one', 'say')).texts).toEqual(['mine']);
    expect((await run(12, 'two', 'say')).texts).toEqual(['two']);
    expect([(await blockOf(12, 'one')).hosts, (await blockOf(12, 'two')).hosts]).toEqual([['one.example'], ['two.example']]);
    expect((await blockOf(12, 'base')).config).toEqual({});
  }],
  13: ['a workspace without organization runs, with a warning', async () => {
    expect((await planOf(13, 'bb', 'hello')).warnings).toContainEqual(matching(/names no organization/));
    expect((await run(13, 'bb', 'hello')).run).toMatchObject({ status: 'success', organization: null });
  }],
  14: ['a second = and mount options take effect, and the plan says that the 2025 CLI refuses both', async () => {
    expect((await planOf(14, 'bb', 'show')).warnings.filter((text: string) => text.includes('2025 CLI refuses'))).toHaveLength(2);
    expect((await run(14, 'bb', 'show')).texts).toEqual(['a=b&c=d', 'from the mount', 'read-only']);
  }],
  15: ["the user's own kubeconfig is never used, and the plan says so", async () => {
    expect((await planOf(15, 'app', 'show')).warnings).toContainEqual(matching(/~\/\.kube\/config is not used/));
    expect((await run(15, 'app', 'show')).texts).toEqual(['kubeconfig none']);
  }],
  16: ["the engine's socket is not there unless configured, and the tool says what an action can do", async () => {
    expect((await run(16, 'bb', 'look')).texts).toEqual(['no socket', '0']);
    const { tools } = await (server.client as any).listTools();
    expect(tools.find(({ name }: any) => name === 'run_action').description).toMatch(/anything/);
  }],
  17: ['an interactive action is refused, and the refusal says where it can run', async () => {
    expect((await planOf(17, 'bb', 'shell')).policy).toMatchObject({ decision: 'deny', rule: 'action:interactive', remedy: matching(/in a terminal/) });
    expect(await refusal('run_action', at(17, 'bb', 'shell'))).toMatchObject({ code: 'refused' });
  }],
  18: ['a colon in the path is mounted, and the plan says that the 2025 CLI cannot', async () => {
    expect((await planOf(18, 'bb', 'hello')).warnings).toContainEqual(matching(/colon/));
    expect((await run(18, 'bb', 'hello')).texts).toEqual(['mounted']);
  }],
  19: ['old logs are no blocks, and neither their secrets nor their snapshots get into an answer', async () => {
    const answers = [await ask('list_workspaces', { query: 'trap-19' }), await ask('list_blocks', { workspace: 'trap-19' }), await blockOf(19, 'bb'), (await run(19, 'bb', 'hello')).run, await ask('search_action_runs', { workspace: 'trap-19' })];
    expect(JSON.stringify(answers)).not.toContain('old-Log-Secret');
    expect(answers[1].blocks).toHaveLength(1);
    expect(await readFile(join(root.path, '19-old-logs/.logs/2025/05/22/7f2c1a52-6c31-4a44-9a0f-6a1a6f1f9b10.yml'), 'utf8')).toContain('old-Log-Secret');
  }],
  20: ['versions are compared as text, and latest is no magic', async () => {
    expect((await planOf(20, 'exact', 'hello')).policy.decision).toBe('allow');
    for (const [name, version] of [['number', '1.1'], ['magic', 'latest']] as const)
      expect((await blockOf(20, name)).problems).toContainEqual(expect.objectContaining({ severity: 'error', message: matching(new RegExp(`in version ${version}, but 1\\.10 is here`)) }));
  }],
  21: ['of top-level variables only workspace, block and action go over those of a play', async () => {
    expect((await run(21, 'bb', 'show')).texts.join('\n')).toContain('right untouched untouched untouched untouched show');
  }],
  22: ['chains of from resolve in any order; circles and missing parents are told', async () => {
    expect((await blockOf(22, 'first')).config).toEqual({ middle: 2, deep: 3 });
    expect((await run(22, 'first', 'hello')).texts).toEqual(['hello']);
    expect(JSON.stringify((await blockOf(22, 'circle')).problems)).toMatch(/circle → ring → circle/);
    expect(JSON.stringify((await blockOf(22, 'orphan')).problems)).toContain('nobody');
  }],
  23: ['braces in a script are left to the shell, and the plan says that the 2025 CLI rendered them', async () => {
    expect((await planOf(23, 'bb', 'show')).warnings).toContainEqual(matching(/rendered it as a template/));
    expect((await run(23, 'bb', 'show')).texts).toEqual(['{{.Names}} {{ .Action.Name }}']);
  }],
  24: ["the user's git work tree is not committed to", async () => {
    const cwd = join(root.path, '24-git');
    const git = (...args: string[]): string => execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd, encoding: 'utf8' });
    git('init', '-q');
    git('add', '.');
    git('commit', '-q', '-m', 'start');
    expect((await run(24, 'bb', 'change')).run.status).toBe('success');
    expect(git('log', '--oneline').trim().split('\n')).toHaveLength(1);
    expect(git('status', '--porcelain').trim()).toBe('?? changed.txt');
    await rm(join(cwd, '.git'), { recursive: true });
  }],
}; // prettier-ignore

it('there is a folder for each of the 24, and a test for each folder', async () => {
  const numbers = (await readdir(FIXTURES)).sort().map((name) => Number(name.slice(0, 2)));
  expect(numbers).toEqual(Array.from({ length: 24 }, (_, n) => n + 1));
  expect(Object.keys(TRAPS).map(Number)).toEqual(numbers);
});

describeWithEngine('trap', () => {
  it.each(Object.entries(TRAPS).map(([number, [what, check]]) => [number, what, check] as const))(
    '%s: %s',
    (_number, _what, check) => check(),
    60_000,
  );
});
