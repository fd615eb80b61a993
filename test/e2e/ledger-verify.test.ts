import { copyFile, readFile, rename, stat } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { runLedger } from '../support/ledger-command.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';

let home: Awaited<ReturnType<typeof tempFolder>>;
let anchor: string;
let run_id: string;

beforeAll(async () => {
  home = await tempFolder('ledger-verify');
  anchor = join(home.path, 'elsewhere.json');
  const runs = await fillLedger(home.path, [
    { requested_at: 1_000, display: 'Ada' },
    { requested_at: 2_000, display: 'Bob', status: 'failed' },
  ]);
  run_id = runs[0]!.id;
});
afterAll(() => home.remove());

const ledger = (args: string[], env: Record<string, string> = {}) => runLedger(home.path, args, env);

const ask = async (
  use: (call: Awaited<ReturnType<typeof connect>>['call']) => Promise<void>,
): Promise<void> => {
  // The story counts events; those of its own calls would come at their own time.
  const server = await connect({ home: home.path, env: { POLYCRATE_MCP_TRAIL: 'off' } });
  try {
    await use(server.call);
  } finally {
    await server.close();
  }
};

// One story: each step builds on the ones before.
describe.sequential('an operator', () => {
  it('is told by the tools that nothing was verified yet', () =>
    ask(async (call) => {
      const status = await call('get_status');
      expect(status.data.ledger).toMatchObject({ verification: null, outside_anchor: null });
      const { data } = await call('get_action_run', { run_id });
      expect(data.proof).toMatchObject({ events: [1, 2, 3], head: { seq: 6 }, verified: null });
    }));

  it('verifies without an anchor: 4, and how to do better', () => {
    const { status, stdout, stderr } = ledger(['verify']);
    expect({ status, stderr }).toEqual({ status: 4, stderr: '' });
    expect(stdout).toContain('NOT PROVABLE');
    expect(stdout).toContain('6 events (hash, link, number)');
    expect(stdout).toContain('2 runs (tables rebuilt from events)');
    expect(stdout).toContain('ledger checkpoint --out FILE');
  });

  it('writes an anchor; the key is for its owner only', async () => {
    const { status, stdout, stderr } = ledger(['checkpoint', '--out', anchor]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toContain('Checkpoint of 6 events');
    expect(stderr).toContain('-----BEGIN PUBLIC KEY-----');
    expect(stderr).toContain('lies in the data folder');
    expect((await stat(join(home.path, 'checkpoint-key.pem'))).mode & 0o777).toBe(0o600);
    const key = await readFile(join(home.path, 'checkpoint-key.pub.pem'), 'utf8');
    const written = JSON.parse(await readFile(anchor, 'utf8'));
    expect(verifyAgain(join(home.path, 'ledger.db'), written, key)).toEqual([]);
    const printed = ledger(['checkpoint']);
    expect(JSON.parse(printed.stdout)).toMatchObject({ size: 6, head: written.head, root: written.root });
  });

  it('verifies with it: 0', () => {
    const { status, stdout } = ledger(['verify', '--anchor', anchor]);
    expect(status).toBe(0);
    expect(stdout).toContain('SOUND');
    expect(stdout).toContain('whether events after 6, where the anchor ends, were cut off');
    const json = ledger(['verify', `--anchor=${anchor}`, '--incremental', '--json']);
    expect(json.status).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({
      result: 'sound',
      size: 6,
      proven_up_to: 6,
      findings: [],
    });
  });

  it('is told by the tools what was verified when', () =>
    ask(async (call) => {
      const { data } = await call('get_status');
      expect(data.ledger.verification).toMatchObject({ result: 'sound', up_to_event: 6, findings: 0 });
      expect(Date.parse(data.ledger.verification.at)).toBeGreaterThan(Date.now() - 600_000);
      expect(data.ledger.outside_anchor).toMatchObject({ up_to_event: 6, place: null });
      expect(data.ledger.outside_anchor.age_seconds).toBeLessThan(600);
      const answer = await call('get_action_run', { run_id });
      expect(answer.data.proof.verified).toEqual(data.ledger.verification);
    }));

  it('signs with a key of their own, and is told that the old anchor is of another', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const file = join(home.path, 'own.pem');
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const own = { POLYCRATE_MCP_SIGNING_KEY_FILE: file };
    const { status, stdout } = ledger(['verify', '--anchor', anchor], own);
    expect(status).toBe(4);
    expect(stdout).toContain('is not the one at hand');
    expect(ledger(['checkpoint'], own).status).toBe(0);
    const broken = ledger(['verify'], { POLYCRATE_MCP_SIGNING_KEY_FILE: anchor });
    expect(broken.status).toBe(2);
    expect(broken.stderr).toContain('POLYCRATE_MCP_SIGNING_KEY_FILE');
  });

  it.each([
    [['verify', '--out', 'x'], '--out is not a flag of ledger verify'],
    [['verify', '--anchor', '/nowhere/anchor'], '/nowhere/anchor cannot be used as an anchor'],
    [['verify', 'now'], 'ledger verify takes no arguments'],
    [['verifi'], 'Did you mean verify?'],
    [[], 'ledger needs to be told what to do'],
  ])('uses it wrongly, %j: 2', (args, message) => {
    const { status, stderr } = ledger(args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });

  it('has no ledger there, or a file that is none: 1', async () => {
    expect(ledger(['verify', '--home', join(home.path, 'nothing')]).status).toBe(1);
    const file = join(home.path, 'ledger.db');
    await rename(file, `${file}.kept`);
    writeFileSync(file, 'this is no database '.repeat(400));
    expect(ledger(['verify']).status).toBe(1);
    await rename(`${file}.kept`, file);
  });

  it('learns of a change: 3, where it is, and no checkpoint over it', async () => {
    const file = join(home.path, 'ledger.db');
    await copyFile(file, `${file}.kept`);
    const db = new Sqlite(file);
    db.exec(`UPDATE runs SET exit_code = 0 WHERE exit_code IS NULL`);
    db.close();
    const { status, stdout } = ledger(['verify', '--anchor', anchor]);
    expect(status).toBe(3);
    expect(stdout).toMatch(
      /TAMPERED: 1 finding\.[^]*exit_code of run [0-9a-f-]{36} in runs is not what the events say/,
    );
    const before = await readFile(anchor, 'utf8');
    // Runs without newer events are not rebuilt by an incremental check, hence an event.
    const events = new Sqlite(file);
    events.exec('DROP TRIGGER events_never_change; UPDATE events SET at = at + 1 WHERE seq = 6');
    events.close();
    expect(ledger(['checkpoint', '--out', anchor])).toMatchObject({ status: 3, stdout: '' });
    expect(await readFile(anchor, 'utf8')).toBe(before);
    await ask(async (call) => {
      const { data } = await call('get_status');
      expect(data.ledger.verification).toMatchObject({ result: 'tampered' });
    });
  });
});
