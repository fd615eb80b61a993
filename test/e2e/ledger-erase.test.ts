import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { killLedger, runLedger } from '../support/ledger-command.ts';

const ADA = { display: 'Ada Lovelace', os_user: 'ada', hostname: 'adas-laptop', reason: 'adas-reason' };
const BOB = { display: 'Bob', os_user: 'deploy', hostname: 'ci-host' };

const ledger = (home: string, ...args: string[]) => runLedger(home, args);

function bytes(home: string): Buffer {
  const files = ['', '-wal', '-shm'].map((end) => join(home, `ledger.db${end}`));
  return Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)));
}

/** Everything in every table. */
function rows(home: string): unknown {
  const db = new Sqlite(join(home, 'ledger.db'), { readonly: true });
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all() as string[];
  const all = tables.map((table) => [table, db.prepare(`SELECT * FROM ${table}`).all()]);
  db.close();
  return all;
}

describe.sequential('an operator who is asked to erase a person', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let runs: string[];
  const logOf = (id: string): string => join(home.path, 'logs', id.slice(0, 6), `${id}.log`);
  beforeAll(async () => {
    home = await tempFolder('erase');
    runs = (await fillLedger(home.path, [{ ...ADA, requested_at: 1_000 }, { ...BOB, requested_at: 2_000 }])).map(({ id }) => id);
    for (const id of runs) {
      await mkdir(join(logOf(id), '..'), { recursive: true });
      await writeFile(logOf(id), 'o4\tada\n');
    }
  }); // prettier-ignore
  afterAll(() => home.remove());

  it('is told what there is, and nothing is changed without --yes', () => {
    const before = rows(home.path);
    const { status, stdout } = ledger(home.path, 'erase', '--subject', 'ada lovelace');
    expect(status).toBe(0);
    expect(stdout).toContain('5 private values of 1 event. They are named in 1 run');
    expect(stdout).toContain('Nothing was erased; --yes does it.');
    expect(rows(home.path)).toEqual(before);
    expect(ledger(home.path, 'erase', '--subject', 'Eve').stdout).toContain('holds nothing about Eve');
    expect(ledger(home.path, 'erase').status).toBe(2);
    expect(ledger(join(home.path, 'nothing'), 'erase', '--subject', 'x').status).toBe(1);
  });

  it('erases with --yes while a server has the ledger open, logs included', async () => {
    const server = await connect({ home: home.path, env: { POLYCRATE_MCP_TRAIL: 'off' } });
    try {
      expect((await server.call('search_action_runs', { user: 'ada' })).data.total).toBe(1);
      const done = ledger(home.path, 'erase', '--subject', 'Ada Lovelace', '--reason', 'letter of 3 May', '--logs', '--yes', '--json');
      expect(done.status).toBe(0);
      expect(JSON.parse(done.stdout)).toMatchObject({ erased: true, values: 5, logs_deleted: 1, cleaning: { done: true } });
      for (const trace of ['Ada', 'ada lovelace', 'adas-']) expect(bytes(home.path).includes(trace), trace).toBe(false);
      expect(runs.map((id) => existsSync(logOf(id)))).toEqual([false, true]);

      expect((await server.call('search_action_runs', { user: 'ada' })).error).toMatchObject({ code: 'unknown_name' });
      const { data } = await server.call('search_action_runs', { limit: 5 });
      expect(data.runs.map(({ user, host }: any) => [user, host])).toEqual([['Bob', 'ci-host'], [null, null]]);
      const run = await server.call('get_action_run', { run_id: runs[0] });
      expect(run.data.run).toMatchObject({ status: 'success', workspace: 'shop' });
      expect((await server.call('read_action_run_log', { run_id: runs[0] })).data).toMatchObject({ lines: [], total_lines: 0 });
    } finally {
      await server.close();
    }
  }); // prettier-ignore

  it('has a ledger in order that says what is gone', () => {
    const { status, stdout } = ledger(home.path, 'verify');
    expect(status).toBe(4);
    expect(stdout).toContain('Erased, which the chain allows: private values of 1 event.');
    expect(stdout).toContain('client, hostname, os_user, principal, reason');
    expect(verifyAgain(join(home.path, 'ledger.db'))).toEqual([]);
  });
});

it('killed at any moment, the ledger is as before or as after, and the next attempt ends it', async () => {
  const folder = await tempFolder('erase-kill');
  const [original, home] = [join(folder.path, 'original'), join(folder.path, 'home')];
  const past = Array.from({ length: 150 }, (_, n) => ({ ...(n % 2 ? ADA : BOB), requested_at: 1_000 + n }));
  await fillLedger(original, past);
  const args = ['erase', '--subject', 'ada lovelace', '--yes', '--json'];
  const attempt = async (kill_after: number | null): Promise<number> => {
    rmSync(home, { recursive: true, force: true });
    cpSync(original, home, { recursive: true });
    return await killLedger(home, args, kill_after);
  };
  const whole = await attempt(null);
  // Halving the time leads to the moment at which it is done.
  let [early, late] = [0, whole];
  for (let step = 0; step < 5; step++) {
    const moment = (early + late) / 2;
    await attempt(moment);
    const { findings, erased_total } = JSON.parse(ledger(home, 'verify', '--json').stdout);
    expect(findings).toEqual([]);
    expect([0, 75]).toContain(erased_total);
    if (erased_total > 0) late = moment;
    else early = moment;
    if (step % 4 > 0) continue;
    expect(JSON.parse(ledger(home, ...args).stdout)).toMatchObject({ cleaning: { done: true } });
    for (const trace of ['Ada', 'ada lovelace', 'adas-'])
      expect(bytes(home).includes(trace), trace).toBe(false);
  }
  await folder.remove();
}, 120_000);
