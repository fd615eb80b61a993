import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { headFile } from '../../src/adapters/log-files/files.ts';
import type { Records } from '../../src/history/records.ts';
import { sha256 } from '../../src/shared/json.ts';
import { finished } from '../contract/ledger-history.ts';
import { intentFor, mintId, openSqlite, storeRun } from '../support/fill-ledger.ts';
import { foreignRun, page } from '../support/foreign.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { verifyBundle as verifyAgain } from '../support/second-bundle-verifier.mjs';
import { runLedger } from '../support/ledger-command.ts';

const BEGIN = Date.UTC(2026, 2, 1);
const LOG = 'o6\thello\n';

type World = { home: string; env: Record<string, string>; records: () => Records };

/** One story for each kind of ledger: each step builds on the ones before. */
function story(open: (name: string) => Promise<World>): void {
  let [ours, theirs] = [] as unknown as [World, World];
  let ids: string[];
  let bundle: string;
  let key: string;

  const run = ({ env, home }: World, args: string[]) => runLedger(home, args, env);
  const manifestOf = (folder: string) => JSON.parse(readFileSync(join(folder, 'bundle.json'), 'utf8'));

  beforeAll(async () => {
    [theirs, ours] = [await open('bundle-theirs'), await open('bundle-ours')];
    const records = theirs.records();
    const past = { reason: '=HYPERLINK("http://evil","click")', display: 'Ada', environment: 'production' };
    const stored = [
      await storeRun(records, { requested_at: BEGIN, ...past }),
      await storeRun(records, {
        requested_at: BEGIN + 60_000,
        display: 'Bob',
        status: 'failed',
        block: 'web',
      }),
    ];
    const logged = mintId();
    await records.ledger.request(
      intentFor({ id: logged, requested_at: BEGIN + 120_000, display: 'Eve\u2028' }),
    );
    await records.ledger.append({
      kind: 'run_started',
      run_id: logged,
      at: BEGIN,
      facts: { status: 'running', launched: true, started_at: BEGIN + 120_000 },
      private: {},
    });
    const end = finished(logged, { at: BEGIN + 121_000, status: 'success', exit_code: 0 });
    await records.ledger.append({ ...end, private: { 'log.sha256': sha256(LOG) } });
    const open_ = await storeRun(records, { requested_at: BEGIN + 180_000, status: 'running' });
    await records.mirror.storePage(page([foreignRun('elsewhere', { started_at: BEGIN + 200_000 })]));
    ids = [...stored.map(({ id }) => id), logged, open_.id];
    await records.close();
    await mkdir(dirname(headFile(theirs.home, logged)), { recursive: true });
    await writeFile(headFile(theirs.home, logged), LOG);
    bundle = join(theirs.home, 'out');
    key = join(theirs.home, 'checkpoint-key.pub.pem');
  });

  it('exports chosen runs with logs, and a second program agrees', () => {
    const { status, stdout, stderr } = run(theirs, ['export', '--out', bundle, '--since', '2026-03', '--logs']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('4 runs with 11 proved events');
    expect(stdout).toContain('Left out: 1 run that others executed');
    expect(manifestOf(bundle).left_out).toEqual({ mirrored: 1, later: 0 });
    expect(readdirSync(bundle).sort()).toEqual(['bundle.json', 'logs', 'runs.csv', 'runs.jsonl', 'summary.md']);
    expect(readFileSync(join(bundle, 'logs', `${ids[2]}.log`), 'utf8')).toBe(LOG);
    expect(manifestOf(bundle).counts).toMatchObject({ runs: 4, launched: 4, status: { success: 2, failed: 1, running: 1 } });
    expect(verifyAgain(bundle, readFileSync(key, 'utf8'))).toEqual([]);
  }); // prettier-ignore

  it('is a table without formulas, in the order of the runs, and a summary', () => {
    const lines = readFileSync(join(bundle, 'runs.csv'), 'utf8').split('\r\n');
    expect(lines.slice(1).map((line) => line.split(',')[0])).toEqual([...ids, '']);
    expect(lines[1]).toContain(`"'=HYPERLINK(""http://evil"",""click"")"`);
    const summary = readFileSync(join(bundle, 'summary.md'), 'utf8');
    expect(summary).toContain('| from | 2026-03-01T');
    expect(summary).toContain('| runs | 4 |');
    expect(summary).toContain('that others executed: 1.');
    expect(summary).toContain(manifestOf(bundle).key_id);
  });

  it('is the same again, but for times and signatures', () => {
    const again = join(theirs.home, 'again');
    expect(run(theirs, ['export', `--out=${again}`, '--since', '2026-03', '--logs']).status).toBe(0);
    const digests = (folder: string) => manifestOf(folder).files.filter(({ name }: { name: string }) => name !== 'summary.md');
    expect(digests(again)).toEqual(digests(bundle));
  }); // prettier-ignore

  it('leaves people out, and everything is still proved', () => {
    const folder = join(theirs.home, 'nobody');
    expect(run(theirs, ['export', `--out=${folder}`, '--without-people']).status).toBe(0);
    for (const name of ['runs.jsonl', 'runs.csv', 'summary.md', 'bundle.json']) {
      expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(
        /\bAda\b|\bBob\b|HYPERLINK|host-1|test-client/,
      );
    }
    expect(manifestOf(folder).counts).toMatchObject({ private_values: 0 });
    expect(run(theirs, ['verify-bundle', folder]).status).toBe(0);
    expect(verifyAgain(folder, readFileSync(key, 'utf8'))).toEqual([]);
  });

  it.each([
    [['--block', 'web'], 1],
    [['--block', 'web', '--block', 'db', '--user', 'ada'], 1],
    [['--status', 'failed', '--status', 'running'], 2],
    [['--until', '2026-03-01T00:02:00Z'], 2],
    [['--since', '2027'], 0],
  ])('chooses by %j: %i', (filters, runs) => {
    const folder = join(theirs.home, `chosen-${filters.join('').replaceAll(/[^a-z0-9]/g, '')}`);
    expect(run(theirs, ['export', `--out=${folder}`, '--timezone=UTC', ...filters]).status).toBe(0);
    expect(manifestOf(folder).counts.runs).toBe(runs);
    expect(verifyAgain(folder, readFileSync(key, 'utf8'))).toEqual([]);
  });

  it.each([
    [['export'], 'needs to be told where'],
    [['export', '--out=x', '--run=abc'], 'no run abc'],
    [['export', '--out=x', '--run=abc', '--block=db'], 'goes with no filter'],
    [['export', '--out=x', '--status=good'], '--status good is none of'],
    [['export', '--out=x', '--user=ada', '--without-people'], 'whom --without-people would leave out'],
    [['export', '--out=x', '--logs', '--without-people'], 'logs may name people'],
    [['verify-bundle'], 'takes exactly one FOLDER'],
    [['verify-bundle', '/nowhere'], 'cannot be read as a bundle'],
  ])('is used wrongly, %j: 2', (args, message) => {
    const { status, stderr } = run(theirs, args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  it('overwrites nothing, and a name that no run has is refused', () => {
    expect(run(theirs, ['export', '--out', bundle])).toMatchObject({ status: 2 });
    const { status, stderr } = run(theirs, ['export', `--out=${theirs.home}/x`, '--block=wev']);
    expect(status).toBe(1);
    expect(stderr).toContain('appears in no recorded run');
    expect(readdirSync(theirs.home).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('is checked elsewhere: 4 while nobody vouches for the key, 0 with it', () => {
    const unknown = run(ours, ['verify-bundle', bundle]);
    expect(unknown.status).toBe(4);
    expect(unknown.stdout).toContain('--key FILE');
    const { status, stdout } = run(ours, ['verify-bundle', bundle, '--key', key]);
    expect(status).toBe(0);
    expect(stdout).toContain('4 runs (record), 11 events (hash, proof)');
    expect(JSON.parse(run(ours, ['verify-bundle', bundle, '--key', key, '--json']).stdout)).toMatchObject({
      result: 'sound',
      findings: [],
      checked: { runs: 4 },
    });
  });

  it('is imported as history: once, whole, closed runs only, and what was mirrored before becomes part of it', async () => {
    const records = ours.records();
    const heard = foreignRun('remote-7', { block: 'web', status: 'failed', exit_code: null, started_at: BEGIN + 60_000 }, [ids[1]!]);
    const [before] = (await records.mirror.storePage(page([heard]))).run_ids;
    const standings = await records.mirror.standings();
    expect(run(ours, ['import', bundle])).toMatchObject({ status: 4, stdout: '' });
    const { status, stdout, stderr } = run(ours, ['import', bundle, '--key', key]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('3 runs of the ledger');
    expect(stdout).toContain('1 had not ended');
    expect(stdout).toContain('1 had been heard of');
    for (const id of [before!, 'remote-7']) expect(await records.ledger.find(id)).toMatchObject({ id: ids[1], source: 'ingest' });
    expect(await records.mirror.standings()).toEqual(standings);
    await records.close();
    const again = run(ours, ['import', bundle, '--key', key, '--json']);
    expect(JSON.parse(again.stdout)).toMatchObject({ imported: 0, present: 3, joined: 0, open: 1, erased: 0 });
    const verified = run(ours, ['verify', '--json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({
      size: 7,
      findings: [],
      // The one that became part of another is looked at, too.
      checked: { events: 7, runs: 4 },
    });
  }); // prettier-ignore

  it('is found by the tools, which say where the proof lies', async () => {
    const server = await connect({ home: ours.home, env: ours.env });
    try {
      const found = await server.call('search_action_runs', { source: 'ingest', user: 'ada' });
      expect(found.data).toMatchObject({
        total: 1,
        runs: [{ id: ids[0], environment: 'production', user: 'Ada' }],
      });
      const { data } = await server.call('get_action_run', { run_id: ids[0] });
      const { ledger, size, root } = manifestOf(bundle).checkpoint;
      expect(data.proof.elsewhere).toMatchObject({ ledger, size, root });
      expect(data.proof.events).toEqual([3]);
      expect(data.run).toMatchObject({ reason: '=HYPERLINK("http://evil","click")', source: 'ingest' });
      const third = await server.call('get_action_run', { run_id: ids[2] });
      expect(third.data.proof.log_sha256).toBe(sha256(LOG));
    } finally {
      await server.close();
    }
  });

  it('is passed on: what was imported can be exported again', () => {
    const folder = join(ours.home, 'further');
    expect(run(ours, ['export', `--out=${folder}`, `--run=${ids[0]}`, `--run=${ids[1]}`]).status).toBe(0);
    expect(run(ours, ['verify-bundle', folder]).status).toBe(0);
    const own = readFileSync(join(ours.home, 'checkpoint-key.pub.pem'), 'utf8');
    expect(verifyAgain(folder, own)).toEqual([]);
  });
}

describe.sequential('a bundle of a ledger in SQLite', () => {
  const folders: Awaited<ReturnType<typeof tempFolder>>[] = [];
  afterAll(() => Promise.all(folders.map((folder) => folder.remove())));
  story(async (name) => {
    const folder = await tempFolder(name);
    folders.push(folder);
    return { home: folder.path, env: {}, records: () => openSqlite(folder.path) };
  });
});

describeWithPostgres('a bundle of a ledger in PostgreSQL', () => {
  let server: PostgresServer;
  const folders: Awaited<ReturnType<typeof tempFolder>>[] = [];
  const places: Place[] = [];
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(async () => {
    await Promise.all([...folders, ...places].map((one) => one.remove()));
    await server.stop();
  });
  story(async (name) => {
    const [folder, place] = [await tempFolder(name), await server.place()];
    folders.push(folder);
    places.push(place);
    const records = () => createPostgresLedger({ url: place.url, log: () => undefined });
    return { home: folder.path, env: { POLYCRATE_MCP_DATABASE_URL: place.url }, records };
  });
});
