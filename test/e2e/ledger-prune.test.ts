import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, MAIN, tempFolder } from '../support/mcp.ts';
import { verifyBundle } from '../support/second-bundle-verifier.mjs';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { killLedger, ledgerEnvironment, runLedger } from '../support/ledger-command.ts';

const DAY = 86_400_000;
const BEGIN = Date.UTC(2026, 0, 1);

const ledger = runLedger;

const logOf = (home: string, id: string): string => join(home, 'logs', id.slice(0, 6), `${id}.log`);

async function fill(home: string, days: number): Promise<string[]> {
  const past = Array.from({ length: days }, (_, day) => ({
    requested_at: BEGIN + day * DAY,
    display: 'Ada',
  }));
  const runs = await fillLedger(home, past);
  for (const { id } of runs) {
    await mkdir(join(logOf(home, id), '..'), { recursive: true });
    await writeFile(logOf(home, id), 'o3\thi\n');
    await mkdir(join(home, 'kept', id, 'blocks'), { recursive: true });
    await writeFile(join(home, 'kept', id, 'blocks', 'state'), 'x');
  }
  return runs.map(({ id }) => id);
}

describe.sequential('an operator who may keep records for a while only', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let runs: string[];
  beforeAll(async () => {
    home = await tempFolder('prune');
    runs = await fill(home.path, 6);
  });
  afterAll(() => home.remove());

  it('is told what would go, and nothing is changed without --yes', () => {
    const { status, stdout } = ledger(home.path, ['prune', '--before', '2026-01-04T00:00:00Z']);
    expect(status).toBe(0);
    expect(stdout).toContain('9 events before 2026-01-04T00:00:00.000Z can go, up to event 9, with 3 runs');
    expect(stdout).toContain('Nothing was pruned; --yes does it.');
    const none = ledger(home.path, ['prune']);
    expect(none.status).toBe(2);
    expect(none.stderr).toContain('POLYCRATE_MCP_RETENTION');
    expect(ledger(home.path, ['prune', '--before', 'whenever']).status).toBe(1);
  });

  it('is told by the server and the doctor that it is due, which do nothing by themselves', async () => {
    for (const [retention, due] of [
      ['1d', true],
      ['99999d', false],
      ['none', null],
    ] as const) {
      const env = { POLYCRATE_MCP_RETENTION: retention, POLYCRATE_MCP_TRAIL: 'off' };
      const server = await connect({ home: home.path, env });
      expect((await server.call('get_status')).data.ledger).toMatchObject({ pruning_due: due, events: 18 });
      await server.close();
      const options = { env: ledgerEnvironment(home.path, env), encoding: 'utf8' } as const;
      const { stdout } = spawnSync(process.execPath, [MAIN, 'doctor'], options);
      expect(stdout.includes('run `polycrate-mcp ledger prune`')).toBe(due === true);
      expect(stdout).toContain(
        `${join(home.path, 'kept')} has what 6 runs wrote and could not be brought back`,
      );
    }
  });

  it('prunes with --yes while a server has the ledger open, logs included', async () => {
    const server = await connect({ home: home.path, env: { POLYCRATE_MCP_TRAIL: 'off' } });
    try {
      expect((await server.call('search_action_runs')).data.total).toBe(6);
      const done = ledger(home.path, ['prune', '--before', '2026-01-04', '--yes', '--json', '--timezone', 'UTC']);
      expect(done.status).toBe(0);
      expect(JSON.parse(done.stdout)).toMatchObject({ pruned: true, size: 9, events: 9, runs: 3, logs_deleted: 3, kept_deleted: 3, cleaning: { done: true } });
      expect(runs.map((id) => existsSync(logOf(home.path, id)))).toEqual([false, false, false, true, true, true]);
      expect(runs.map((id) => existsSync(join(home.path, 'kept', id)))).toEqual([false, false, false, true, true, true]);
      expect((await server.call('search_action_runs')).data.total).toBe(3);
      expect((await server.call('get_action_run', { run_id: runs[0] })).error).toMatchObject({ code: 'unknown_name' });
    } finally {
      await server.close();
    }
    const verified = ledger(home.path, ['verify']);
    expect(verified.status).toBe(4);
    expect(verified.stdout).toMatch(/Pruned up to event 9 \(before 2026-01-04T00:00:00\.000Z\), tree head signed by [0-9a-f]{12}…, 3 runs summed up\./);
    expect(verifyAgain(join(home.path, 'ledger.db'))).toEqual([]);
  }); // prettier-ignore

  it('can still hand out what is left, with its proof', () => {
    const out = join(home.path, 'out');
    expect(ledger(home.path, ['export', '--out', out, '--since', '2026-01'])).toMatchObject({ status: 0, stderr: '' });
    expect(ledger(home.path, ['verify-bundle', out])).toMatchObject({ status: 0, stdout: expect.stringContaining('3 runs') });
    expect(verifyBundle(out, readFileSync(join(home.path, 'checkpoint-key.pub.pem'), 'utf8'))).toEqual([]);
  }); // prettier-ignore

  it('has an anchor that goes on to work over the next pruning', () => {
    const anchor = join(home.path, 'anchor.json');
    expect(ledger(home.path, ['checkpoint', '--out', anchor]).status).toBe(0);
    const env = { POLYCRATE_MCP_RETENTION: '1d' };
    expect(JSON.parse(ledger(home.path, ['prune', '--yes', '--json'], env).stdout)).toMatchObject({ size: 18, runs: 3 });
    const { status, stdout } = ledger(home.path, ['verify', '--anchor', anchor]);
    expect({ status, sound: stdout.includes('SOUND') }).toEqual({ status: 0, sound: true });
  }); // prettier-ignore
});

it('killed at any moment, the ledger is as before or as after, and the next attempt ends it', async () => {
  const folder = await tempFolder('prune-kill');
  const [original, home] = [join(folder.path, 'original'), join(folder.path, 'home')];
  const runs = await fill(original, 150);
  const args = ['prune', '--before', '2026-04-11T00:00:00Z', '--yes', '--json'];
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
    const { findings, pruning } = JSON.parse(ledger(home, ['verify', '--json']).stdout);
    expect(findings).toEqual([]);
    if (pruning) late = moment;
    else early = moment;
    expect(ledger(home, args).status).toBe(0);
    expect(runs.filter((id) => existsSync(logOf(home, id)))).toEqual(runs.slice(100));
  }
  await folder.remove();
}, 120_000);
