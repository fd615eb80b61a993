import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { refuseOddEvent } from '../../src/runners/events.ts';
import { refuseOddIntent, refuseOtherStep } from '../../src/runners/intents.ts';
import type { ActionRun, RunEvent } from '../../src/runs/action-run.ts';
import type { IntentRequest, Lease } from '../../src/runs/run-ledger.ts';
import type { Json, JsonObject } from '../../src/shared/json.ts';
import { intentFor, openSqlite } from '../support/fill-ledger.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// What supervisors record is what a runner may record: held against what a server of its own really wrote.

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let runs: { run: ActionRun; events: RunEvent[] }[];

beforeAll(async () => {
  folders = await Promise.all(['home', 'root', 'policy'].map(tempFolder));
  const [home, root, policy] = folders.map(({ path }) => path) as [string, string, string];
  await writeWorkspace(root, {
    name: 'shop',
    organization: 'acme',
    rest: { labels: { environment: 'production' }, workflows: [{ name: 'all', steps: [{ name: 'one', block: 'db', action: 'hello' }] }] },
    blocks: { db: { version: '1.0.0', actions: [script('hello', 'echo hello'), script('fail', 'exit 3'), script('hold', 'sleep 60'), script('ask', 'echo')] } },
    files: { 'inventory.yml': 'all:\n  hosts:\n    db-1:\n' },
  });
  const rules = [
    { name: 'asked', when: { action: 'ask' }, decision: 'approve', approve: { strength: 'key' } },
    { name: 'few', decision: 'allow', limits: { concurrency: 9 } },
  ];
  await writeFile(join(policy, 'policy.yml'), JSON.stringify({ version: 1, rules }));
  const env = { ...localSettings(root), POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: join(policy, 'policy.yml') };
  const server = await connect({ home, env });
  const run = async (action: string, more: object = {}): Promise<string> => {
    const { data, error } = await server.call('run_action', { workspace: 'shop', block: 'db', action, ...more });
    expect(error).toBeNull();
    return data.run.id as string;
  };
  const ids = [await run('hello', { wait_seconds: 20 }), await run('fail', { wait_seconds: 20 })];
  const flow = await server.call('run_workflow', { workspace: 'shop', workflow: 'all', wait_seconds: 20 });
  ids.push(flow.data.run.id as string);
  const held = await run('hold', { wait_seconds: 0, idempotency_key: 'held' });
  const waits = await run('ask', { wait_seconds: 0, allow_concurrent: true });
  for (const run_id of [held, waits]) await server.call('cancel_action_run', { run_id, reason: 'enough' });
  for (const run_id of [held, waits]) await server.call('wait_for_action_run', { run_id, wait_seconds: 20 });
  await server.close();
  const { ledger, archive, close } = openSqlite(home);
  const flowRun = (await ledger.find(flow.data.run.id as string))!;
  ids.push(held, waits, ...flowRun.steps!.map(({ run_id }) => run_id));
  runs = await Promise.all(
    ids.map(async (id) => ({
      run: (await ledger.find(id))!,
      events: (await archive.events([id])).map(({ event, values }): RunEvent => ({
        kind: event.kind as RunEvent['kind'], run_id: id, at: event.at, facts: JSON.parse(event.facts) as JsonObject,
        private: Object.fromEntries(values.map(({ name, value }) => [name, JSON.parse(value) as Json])),
      })),
    })),
  );
  await close();
}, 120_000); // prettier-ignore
afterAll(() => Promise.all(folders.map(({ remove }) => remove())));

const leaseOf = (run_id: string, executor: Lease['executor']): Lease => ({
  ...intentFor({ requested_at: 0 }).lease,
  run_id,
  executor,
  fence: 1,
  cancel_requested: false,
});

it('every intent and every event of them is one that a runner may send', () => {
  const kinds = new Set<string>();
  for (const { run, events } of runs) {
    for (const event of events) {
      kinds.add(event.kind);
      if (event.kind === 'run_requested') {
        const intent: IntentRequest = { ...intentFor({ requested_at: 0 }), event, lease: leaseOf(run.id, 'local') };
        refuseOddIntent(intent);
        const parent = runs.find((one) => one.run.id === run.parent)?.run;
        if (parent) refuseOtherStep(parent, intent);
      } else {
        const waits = run.approval_request !== undefined;
        refuseOddEvent(event, { run, lease: leaseOf(run.id, waits ? 'approval' : 'local') });
      }
    }
  }
  expect([...kinds].sort()).toEqual(['run_approval_asked', 'run_cancel_requested', 'run_finished', 'run_requested', 'run_started']);
  expect(runs.some(({ run }) => run.parent !== null)).toBe(true);
}); // prettier-ignore
