import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const failing = (message: string): string =>
  `printf 'TASK [Restart it] ****\\nfatal: [db-1]: FAILED! => {"msg": "${message}"}\\nPLAY RECAP ****\\ndb-1 : ok=1 changed=0 failed=1\\n'; exit 2`;

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const actions = [script('restart', failing('disk full')), script('again', failing('no such host')), script('plain', 'echo hello')]; // prettier-ignore
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { db: { version: '1.0.0', actions } } }); // prettier-ignore
  server = await connect({ home: home.path, env: localSettings(root.path) });
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

const run = async (action: string): Promise<any> =>
  (await server.call('run_action', { workspace: 'shop', block: 'db', action, wait_seconds: 40 })).data;

it('the answer of a run says in one sentence what Ansible failed at, wherever the run is shown', async () => {
  const started = await run('restart');
  const summary = 'task "Restart it" failed on db-1: disk full; 1 host; failed: db-1; changed: none';
  expect(started).toMatchObject({ finished: true, succeeded: false, summary });
  const run_id = started.run.id;
  expect((await server.call('wait_for_action_run', { run_id })).data.summary).toBe(summary);
  expect((await server.call('get_action_run', { run_id })).data.summary).toBe(summary);
});

it('two runs that failed at different things differ in it', async () => {
  const [one, two] = [await run('restart'), await run('again')];
  const { data } = await server.call('get_action_run', { run_id: two.run.id, compare_to: one.run.id });
  expect(data.compared_to).toBe(one.run.id);
  const fields = Object.fromEntries(data.differences.map((one: any) => [one.field, one]));
  expect(fields['action']).toMatchObject({ before: 'restart', after: 'again' });
  expect(fields['summary'].before).toContain('disk full');
  expect(fields['summary'].after).toContain('no such host');
  expect(fields).not.toHaveProperty('block_version');
  expect(fields).not.toHaveProperty('exit_code');
});

it('a script has none', async () => {
  expect(await run('plain')).not.toHaveProperty('summary');
});
