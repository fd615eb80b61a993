import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MAIN, tempFolder } from '../support/mcp.ts';

// The reference client's own opinion of the schemas: errors end it with code 6, warnings do not.

const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json');
const inspector = join(dirname(manifest), 'clients', 'launcher', 'build', 'index.js');

const ORDER = [
  'get_status',
  'list_workspaces',
  'list_blocks',
  'get_block',
  'plan_action',
  'run_action',
  'run_workflow',
  'retrigger_action_run',
  'wait_for_action_run',
  'cancel_action_run',
  'search_action_runs',
  'get_action_run',
  'read_action_run_log',
  'summarize_action_runs',
  'trace_versions',
  'find_changes',
  'search_trail',
];

let home: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  home = await tempFolder('inspector');
});
afterAll(() => home.remove());

it.each(['legacy', 'modern'])('the Inspector accepts the tools strictly in the %s era', async (era) => {
  const { exitCode, stdout, stderr } = await execa(
    process.execPath,
    [
      ...[inspector, '--cli', '--protocol-era', era, process.execPath, MAIN],
      ...['--method', 'tools/list', '--strict', '--format', 'json'],
    ],
    // The Inspector hands on hardly any variables, so the home folder keeps the user's own data out of it.
    { env: { HOME: home.path }, reject: false },
  );
  expect(exitCode, stderr).toBe(0);
  const { result } = JSON.parse(stdout) as { result: { tools: { name: string }[] } };
  expect(result.tools.map(({ name }) => name)).toEqual(ORDER);
});
