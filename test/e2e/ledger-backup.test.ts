import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { killLedger, runLedger } from '../support/ledger-command.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let home: string;
let copy: string;
const run = (n: number) => ({ requested_at: 1_000 * n, display: `Ada${n}`, os_user: 'deploy' });
beforeEach(async () => {
  folder = await tempFolder('backup');
  [home, copy] = [join(folder.path, 'home'), join(folder.path, 'copy')];
});
afterEach(() => folder.remove());

const ledger = (args: string[], env = {}) => runLedger(home, args, env);
const json = (...args: string[]): any => JSON.parse(ledger([...args, '--json']).stdout);

it('a backup of a ledger that is being written is a data folder in order, and comes back as it was', async () => {
  const [first] = await fillLedger(home, [run(1), run(2)]);
  const log = join('logs', first!.id.slice(0, 6), `${first!.id}.log`);
  await mkdir(join(home, log, '..'), { recursive: true });
  await writeFile(join(home, log), 'o3\thi\n');
  const server = await connect({ home, env: { POLYCRATE_MCP_TRAIL: 'off' } });
  await server.call('get_status');
  const writing = fillLedger(
    home,
    Array.from({ length: 60 }, (_, n) => run(n + 3)),
  );
  const { size } = json('backup', copy);
  await writing;
  expect(size).toBeGreaterThanOrEqual(6);
  expect(readdirSync(copy).sort()).toEqual(['ledger.db', 'ledger.key', 'logs']);
  expect(json('verify', '--home', copy)).toMatchObject({ size, findings: [] });
  expect(ledger(['backup', copy]).status).toBe(2);

  const refused = ledger(['restore', copy, '--force']);
  expect({ status: refused.status, open: refused.stderr.includes('open') }).toEqual({
    status: 1,
    open: true,
  });
  await server.close();

  const newer = ledger(['restore', copy]);
  expect(newer.status).toBe(1);
  expect(newer.stderr).toContain('the ledger has 186 events');
  expect(json('verify')).toMatchObject({ size: 186, findings: [] });
  rmSync(home, { recursive: true });
  expect(ledger(['restore', copy]).status).toBe(0);
  expect(json('verify')).toMatchObject({ size, findings: [] });
  expect(readFileSync(join(home, 'ledger.key'))).toEqual(readFileSync(join(copy, 'ledger.key')));
  expect(readFileSync(join(home, log), 'utf8')).toBe('o3\thi\n');
});

it('an older copy put back is found with an anchor, and not provable without', async () => {
  await fillLedger(home, [run(1)]);
  expect(ledger(['backup', copy]).status).toBe(0);
  await fillLedger(home, [run(2)]);
  const anchor = join(folder.path, 'anchor.json');
  expect(ledger(['checkpoint', '--out', anchor]).status).toBe(0);
  expect(ledger(['erase', '--subject', 'Ada1', '--yes']).status).toBe(0);
  const { restored, replaced, erasures_undone } = json('restore', copy, '--force');
  expect({ restored, replaced, erasures_undone }).toMatchObject({
    restored: { size: 3 },
    replaced: { size: 7 },
    erasures_undone: 1,
  });
  expect(ledger(['verify']).status).toBe(4);
  const { status, stdout } = ledger(['verify', '--anchor', anchor]);
  expect(status).toBe(3);
  expect(stdout).toContain('saw 6 events, the ledger has 3');
  // What was replaced is whole, and can be put back.
  const kept = join(folder.path, 'kept');
  await cp(replaced.file, join(kept, 'ledger.db'), { recursive: true });
  expect(ledger(['restore', kept]).status).toBe(0);
  expect(ledger(['verify', '--anchor', anchor]).status).toBe(0);
});

it('what is no backup, a damaged one, one of another ledger, and a database: each refused, nothing changed', async () => {
  await fillLedger(home, [run(1)]);
  const before = json('verify');
  expect(ledger(['restore', folder.path]).status).toBe(2);
  const [damaged, other] = [join(folder.path, 'damaged'), join(folder.path, 'other')];
  await mkdir(damaged);
  await writeFile(join(damaged, 'ledger.db'), 'x'.repeat(9_000));
  expect(ledger(['restore', damaged, '--force']).status).toBe(1);
  await fillLedger(other, [run(1), run(2)]);
  expect(ledger(['restore', other]).stderr).toContain('the backup is of the ledger');
  const url = { POLYCRATE_MCP_DATABASE_URL: 'postgres://127.0.0.1:1/x' };
  for (const verb of ['backup', 'restore']) {
    const { status, stderr } = ledger([verb, copy], url);
    expect({ status, advice: stderr.includes('pg_dump') }).toEqual({ status: 2, advice: true });
  }
  expect(json('verify')).toMatchObject({ size: before.size, head: before.head, findings: [] });
});

it('killed at any moment, there is a whole backup or none, and the ledger is the old or the new one', async () => {
  await fillLedger(
    home,
    Array.from({ length: 40 }, (_, n) => run(n)),
  );
  const attempt = (args: string[], kill_after: number | null) => killLedger(home, args, kill_after);
  const whole = await attempt(['backup', copy], null);
  await fillLedger(home, [run(99)]);
  for (const step of [3, 5, 7, 9, 10]) {
    const target = join(folder.path, `copy-${step}`);
    await attempt(['backup', target], (whole * step) / 10);
    if (existsSync(target))
      expect(json('verify', '--home', target)).toMatchObject({ size: 123, findings: [] });
    await attempt(['restore', copy, '--force'], (whole * step) / 10);
    const { size, findings } = json('verify');
    expect({ known: [120, 123].includes(size), findings }).toEqual({ known: true, findings: [] });
    const [kept] = readdirSync(home).filter((name) => name.includes('.replaced-'));
    if (size === 120) {
      await cp(join(home, kept!), join(folder.path, 'kept', 'ledger.db'), { recursive: true });
      expect(ledger(['restore', join(folder.path, 'kept')]).status).toBe(0);
    }
    for (const name of readdirSync(home)) if (name.includes('.replaced-')) rmSync(join(home, name));
  }
}, 120_000);
