import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { ExecutorKind } from '../../src/runs/executor.ts';
import { deskOn } from '../support/desk.ts';
import { itWithEngine } from '../support/engine.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { makeKey } from '../support/team-server.ts';
import { kill9, NOTHING, settledTraces } from '../support/traces.ts';

// Runs that were approved, whose server was killed between that and their start: what it left is made here, step by step.

const RULES = [{ name: 'key', when: {}, decision: 'approve', approve: { strength: 'key' } }];

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let workspace: ScriptWorkspace;
let records: Records;
let home: string;
let policy: string;
let key: { token: string };
beforeEach(async () => {
  folders = [await tempFolder('home'), await tempFolder('rules')];
  home = folders[0]!.path;
  policy = join(folders[1]!.path, 'policy.json');
  writeFileSync(policy, JSON.stringify({ version: 1, rules: RULES }));
  workspace = await scriptWorkspace({ db: { restart: `${MARK}; exit 3` } });
  key = await makeKey({ home, name: 'Bea', args: ['--role', 'approver'] });
  records = openSqlite(home);
});
afterEach(async () => {
  await records.close();
  await Promise.all([workspace.remove(), ...folders.map((folder) => folder.remove())]);
});

const server = (executor: 'docker' | 'local'): Promise<Connection> => {
  const mode = { POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy };
  return connect({ home, env: { ...trusted(workspace, executor), ...mode } });
};

/** The dead server had turned the lease into one of a launch, and come no further. */
async function approvedAndKilled(executor: Exclude<ExecutorKind, 'cli'>): Promise<string> {
  const first = await server(executor);
  const target = { workspace: 'scripts', block: 'db', action: 'restart' };
  const { run } = (await first.call('run_action', target)).data;
  await kill9(first);
  const boot_id = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  // A process of this machine that is no more: no pid has this start time.
  const dead = {
    host: hostname(),
    boot_id,
    pid_ns: readlinkSync('/proc/self/ns/pid'),
    pid: 1,
    pid_start: '-',
  };
  const [waiting] = await records.leases.list();
  const lease = (await records.leases.take(waiting!, dead, Date.now() + 20_000))!;
  await deskOn(records, []).say(run.id, key.token);
  expect(await records.leases.promote(lease, { executor, alone: true })).toBeNull();
  return run.id;
}

async function endOf(run_id: string, second: Connection): Promise<any> {
  await second.call('get_status');
  await second.call('wait_for_action_run', { run_id, wait_seconds: 45 });
  const { run } = (await second.call('get_action_run', { run_id })).data;
  expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
  await second.close();
  return run;
}

describe('what was approved and had not begun when its server was killed', () => {
  it('is started by the next server, once, on this host', async () => {
    const run_id = await approvedAndKilled('local');
    const run = await endOf(run_id, await server('local'));
    expect(run).toMatchObject({ status: 'failed', exit_code: 3, launched: true, approval: { by: 'Bea' } });
    expect(await workspace.written('marks/db')).toBe('ran\n');
  });

  itWithEngine('is started by the next server, once, in a container', async () => {
    const run_id = await approvedAndKilled('docker');
    const run = await endOf(run_id, await server('docker'));
    expect(run).toMatchObject({ status: 'failed', exit_code: 3, launched: true, approval: { by: 'Bea' } });
    expect(await workspace.written('marks/db')).toBe('ran\n');
  });

  it('is asked for once more where other files would run by now', async () => {
    const run_id = await approvedAndKilled('local');
    const block = join(workspace.path, 'blocks', 'db', 'block.poly');
    await writeFile(block, (await readFile(block, 'utf8')).replace('exit 3', 'exit 4'));
    const second = await server('local');
    await second.call('get_status');
    const again = async (): Promise<any> => (await second.call('get_action_run', { run_id })).data.run;
    await expect.poll(async () => (await again()).approval_request.again, { timeout: 20_000 }).toContain('not what was asked for');
    expect(await again()).toMatchObject({ status: 'pending', approved_at: null, launched: false });
    await second.close();
    expect(await workspace.written('marks/db')).toBe('');
  }); // prettier-ignore

  it('is not started once more where its supervisor may have done so', async () => {
    const run_id = await approvedAndKilled('local');
    await mkdir(join(home, 'run', run_id), { recursive: true });
    await writeFile(join(home, 'run', run_id, 'redactions.json'), '[]');
    const run = await endOf(run_id, await server('local'));
    expect(run).toMatchObject({ status: 'unknown', exit_code: null });
    expect(await workspace.written('marks/db')).toBe('');
  });

  it('is closed as cancelled if that was asked for', async () => {
    const run_id = await approvedAndKilled('local');
    const asked = { kind: 'run_cancel_requested', run_id, at: Date.now(), facts: {}, private: { cancelled_by: null, cancel_reason: 'no' } } as const;
    await records.ledger.append(asked);
    const run = await endOf(run_id, await server('local'));
    expect(run).toMatchObject({ status: 'cancelled', launched: false });
    expect(await workspace.written('marks/db')).toBe('');
  }); // prettier-ignore
});
