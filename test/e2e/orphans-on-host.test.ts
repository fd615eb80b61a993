import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { Handover } from '../../src/runs/supervision.ts';
import type { ProcessIdentity } from '../../src/shared/ports.ts';
import { intentFor, openSqlite } from '../support/fill-ledger.ts';
import { connect, MAIN, tempFolder } from '../support/mcp.ts';
import { processesOf, until } from '../support/traces.ts';

// Runs on this host whose server was killed around the hand-over to their supervisor.

let home: Awaited<ReturnType<typeof tempFolder>>;
let records: Records;
beforeEach(async () => {
  home = await tempFolder('orphans');
  records = openSqlite(home.path);
});
afterEach(async () => {
  await records.close();
  await home.remove();
});

/** A process of this machine that is no more: no pid has this start time. */
async function dead(): Promise<ProcessIdentity> {
  const boot_id = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { host: hostname(), boot_id, pid_ns: readlinkSync('/proc/self/ns/pid'), pid: 1, pid_start: '-' };
}

/** An intent of a dead server, as it was stored before anything was started. */
async function orphan(): Promise<string> {
  const intent = intentFor({ requested_at: Date.now() });
  const lease = { ...intent.lease, owner: await dead(), executor: 'local' as const };
  await records.ledger.request({ ...intent, lease });
  return intent.event.run_id;
}

async function endOf(run_id: string): Promise<any> {
  const server = await connect({ home: home.path, env: { POLYCRATE_MCP_EXECUTOR: 'local', POLYCRATE_MCP_RUN_MODE: 'trusted' } });
  try {
    await server.call('get_status');
    return (await server.call('wait_for_action_run', { run_id, wait_seconds: 30 })).data.run;
  } finally {
    await server.close();
  }
} // prettier-ignore

describe('a server that was killed', () => {
  it('before any supervisor took the run: it was not launched, and the record says so', async () => {
    const run_id = await orphan();
    const run = await endOf(run_id);
    expect(run).toMatchObject({ status: 'failed', exit_code: null, started_at: null });
    expect(run.status_reason).toMatch(/^not launched: /);
  });

  it('with its files half written: it is closed all the same', async () => {
    const run_id = await orphan();
    await mkdir(join(home.path, 'run', run_id), { recursive: true });
    await writeFile(join(home.path, 'run', run_id, 'redactions.json'), '["half a va');
    expect(await endOf(run_id)).toMatchObject({ status: 'failed', exit_code: null, started_at: null });
  });

  it('after a supervisor took the run and was killed too: nobody knows', async () => {
    const run_id = await orphan();
    await records.leases.take({ run_id, fence: 1 }, await dead(), Date.now());
    expect(await endOf(run_id)).toMatchObject({ status: 'unknown', exit_code: null });
  });

  it('before it heard that the run was taken: its supervisor stays to the true end', async () => {
    const run_id = await orphan();
    const env = { PATH: process.env['PATH'], HOME: home.path, POLYCRATE_MCP_HOME: home.path };
    const child = spawn(process.execPath, [MAIN, 'supervise'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.destroy();
    child.stdin.end(JSON.stringify([handover(run_id)]));
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await records.ledger.find(run_id)).toMatchObject({ status: 'failed', exit_code: 3, launched: true });
    expect(await readFile(join(home.path, 'ran'), 'utf8')).toBe('ran\n');
    await until('nothing of it', async () => (await processesOf(home.path)).length === 0);
  }); // prettier-ignore
});

function handover(run_id: string): Handover {
  const limits = { memory_bytes: null, cpus: null, pids: null, engine_log_bytes: 1 };
  const command = ['/bin/bash', '-c', 'sleep 0.3; echo ran >> ran; exit 3'];
  const nowhere = { image: null, image_digest: null, mounts: [], extra_hosts: [], labels: {} };
  return {
    guard: { run_id, fence: 1 },
    packet: {
      spec: { run_id, command, workdir: home.path, env: { PATH: '/usr/bin:/bin' }, limits, timeout_ms: null, ...nowhere },
      files: [],
      copy: null,
      redactions: [],
      pull: 'never',
      build: null,
    },
  };
} // prettier-ignore
