import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace, type WorkspaceText } from '../support/workspaces.ts';

const TEXT: WorkspaceText = {
  name: 'shop',
  organization: 'acme',
  blocks: {
    db: {
      version: '1.0.0',
      config: { size: 1, replicas: 2, password: 'not-to-be-shown' },
      actions: [script('hello', 'echo "$POLYCRATE_BLOCK"')],
    },
  },
  files: { 'inventory.yml': 'all:\n  hosts:\n    web-1:\n', 'blocks/db/notes.txt': 'as it was' },
};

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let path: string;
let server: Connection;
let first: any;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  path = await writeWorkspace(root.path, TEXT);
  server = await connect({ home: home.path, env: localSettings(root.path) });
  const target = { workspace: 'acme/shop', block: 'db', action: 'hello' };
  first = (await ask('run_action', { ...target, wait_seconds: 50 })).run;
});
afterEach(() => writeWorkspace(root.path, TEXT));
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

async function ask(name: string, args: Record<string, unknown> = {}): Promise<any> {
  const { isError, error, data } = await server.call(name, args);
  if (isError) throw new Error(JSON.stringify(error));
  return data;
}
const again = (more = {}) =>
  server.call('retrigger_action_run', { run_id: first.id, wait_seconds: 50, ...more });
const plan = async (more = {}): Promise<any> =>
  (await ask('plan_action', { retrigger_of: first.id, ...more })).plan;

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(join(path, file), change(await readFile(join(path, file), 'utf8')));
}

it('the new record names the old one, and the old one the new', async () => {
  const { data } = await again({ reason: 'once more' });
  expect(data).toMatchObject({
    launched: true, succeeded: true, drift: [], log_tail: ['db'],
    run: { retrigger_of: first.id, block: 'db', action: 'hello' },
  }); // prettier-ignore
  expect(data.run.id).not.toBe(first.id);
  const { run, relations } = await ask('get_action_run', { run_id: data.run.id });
  expect(run).toMatchObject({ trigger: 'retrigger', retrigger_of: first.id, reason: 'once more' });
  expect(relations.retrigger_of).toBe(first.id);
  const old = await ask('get_action_run', { run_id: first.id });
  expect(old.relations.retriggered_as).toContain(data.run.id);
  expect(old.run.status).toBe('success');
});

it('the same key starts it once', async () => {
  const one = await again({ idempotency_key: 'again' });
  const two = await again({ idempotency_key: 'again' });
  expect(two.data).toMatchObject({ replayed: true, run: { id: one.data.run.id } });
});

describe.each([
  ['a changed config value', 'blocks/db/block.poly', (text: string) => text.replace('"size":1', '"size":5'), 'config', ['size']],
  ['an added config key', 'blocks/db/block.poly', (text: string) => text.replace('"size":1', '"size":1,"extra":true'), 'config', ['extra']],
  ['another version', 'blocks/db/block.poly', (text: string) => text.replace('1.0.0', '1.0.1'), 'block_version', undefined],
  ['another script', 'blocks/db/block.poly', (text: string) => text.replace('echo ', 'echo new '), 'block', undefined],
  ['a file of the block', 'blocks/db/notes.txt', () => 'changed', 'block', undefined],
  ['the inventory', 'inventory.yml', (text: string) => text.replace('web-1', 'web-2'), 'inventory', undefined],
])('after %s', (_, file, change, what, keys) => {
  it('pinned refuses with the drift, plan_action shows it, and current runs it', async () => {
    await edit(file, change);
    const { error } = await again();
    expect(error).toMatchObject({ code: 'plan_changed', next: expect.stringContaining("'current'") });
    expect(error!.message).toContain(what);
    const entry = error!.details.drift.find((one: any) => one.what === what);
    expect(entry).toBeDefined();
    if (keys) expect(entry.keys).toEqual(keys);
    expect(JSON.stringify(error)).not.toContain('not-to-be-shown');

    const pinned = await plan();
    expect(pinned.drift).toEqual(error!.details.drift);
    expect(pinned.policy).toMatchObject({ decision: 'deny', rule: 'retrigger:drift' });
    expect((await plan({ mode: 'current' })).policy.decision).toBe('allow');

    const { data } = await again({ mode: 'current' });
    expect(data).toMatchObject({ launched: true, drift: error!.details.drift, run: { retrigger_of: first.id } });
  });
}); // prettier-ignore

it('a change elsewhere in the workspace is no drift', async () => {
  await writeFile(join(path, 'README.md'), 'something else');
  expect((await plan()).drift).toEqual([]);
});

it('a run without pins cannot be repeated as it was', async () => {
  const [old] = await fillLedger(home.path, [{ requested_at: Date.UTC(2026, 1, 1), action: 'hello' }]);
  const { error } = await server.call('retrigger_action_run', { run_id: old!.id });
  expect(error).toMatchObject({ code: 'plan_changed', message: expect.stringContaining('pins') });
});

it('a workflow, an unknown run and one whose block is gone are refused', async () => {
  const [workflow, gone] = await fillLedger(home.path, [
    { requested_at: Date.UTC(2026, 1, 1), kind: 'workflow', block: null, action: null },
    { requested_at: Date.UTC(2026, 1, 1), block: 'dropped' },
  ]);
  const refusal = async (run_id: string) =>
    (await server.call('retrigger_action_run', { run_id, mode: 'current' })).error;
  expect(await refusal(workflow!.id)).toMatchObject({ code: 'refused' });
  expect(await refusal(gone!.id)).toMatchObject({ code: 'unknown_name', valid: ['db'] });
  expect(await refusal('01a00000-0000-7000-8000-000000000000')).toMatchObject({ code: 'unknown_name' });
});
