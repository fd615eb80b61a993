import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { anchorPlace as placeIn } from '../../src/adapters/host/anchor-places.ts';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import { keepAnchored, type AnchoringPorts } from '../../src/ledger/anchor.ts';
import type { Checkpoint } from '../../src/ledger/checkpoint.ts';
import { openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';

const HOUR = 3_600_000;
// What would lead git elsewhere must not reach it.
beforeAll(() => {
  process.env['GIT_DIR'] = '/nowhere';
});
afterAll(() => {
  delete process.env['GIT_DIR'];
});
const anchorPlace = (name: string) => placeIn(name, { PATH: process.env['PATH']! });
const GIT = { env: { PATH: process.env['PATH'] }, encoding: 'utf8' } as const;

type Folder = Awaited<ReturnType<typeof tempFolder>>;

function gitRepository(path: string): void {
  const git = (...args: string[]) => execFileSync('git', ['-C', path, ...args], GIT);
  execFileSync('git', ['init', '-q', path], GIT);
  git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '--allow-empty', '-m', 'first');
}

/** `open` gives the same ledger again at each call, empty at first. */
function anchorContract(open: (folder: string) => Promise<() => Records>): void {
  let folder: Folder;
  let again: () => Records;
  let opened: Records[];
  let records: Records;
  let now: number;
  const logged: string[] = [];

  beforeEach(async () => {
    folder = await tempFolder('anchor');
    again = await open(folder.path);
    opened = [];
    logged.length = 0;
    records = server();
    now = 1_000_000;
    await storeRun(records, { requested_at: 1, display: 'Ada' });
  });
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await folder.remove();
  });

  const server = (): Records => {
    opened.push(again());
    return opened.at(-1)!;
  };
  const portsOf = (one: Records, place: string): AnchoringPorts => ({
    check: one.check,
    events: async () => (await one.ledger.status()).events,
    keys: () => loadCheckpointKeys({ home: folder.path, given: null }),
    clock: { now: () => now, sleep: async () => undefined },
    log: (level, message) => void logged.push(`${level}: ${message}`),
    place: anchorPlace(place),
  });
  const grow = (): Promise<unknown> => storeRun(records, { requested_at: now });

  it('is written when due and the chain has grown, and only then', async () => {
    const file = join(folder.path, 'anchor.json');
    const ports = portsOf(records, file);
    expect(await keepAnchored(ports, HOUR)).toBe(true);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ size: 3 });
    await grow();
    expect(await keepAnchored(ports, HOUR)).toBe(false);
    now += HOUR;
    expect(await keepAnchored(ports, HOUR)).toBe(true);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ size: 6, at: now });
    now += HOUR;
    expect(await keepAnchored(ports, HOUR)).toBe(false);
    expect((await records.ledger.status()).anchor).toEqual({ at: now - HOUR, size: 6, place: file });
    expect(logged).toEqual([]);
  });

  it('is written once by several servers', async () => {
    const place = join(folder.path, 'anchors');
    await mkdir(place);
    const servers = [records, server(), server(), server()].map((one) => portsOf(one, place));
    const first = await Promise.all(servers.map((ports) => keepAnchored(ports, HOUR)));
    expect(first.filter(Boolean)).toHaveLength(1);
    now += HOUR;
    await grow();
    const second = await Promise.all(servers.map((ports) => keepAnchored(ports, HOUR)));
    expect(second.filter(Boolean)).toHaveLength(1);
    const { id } = await records.ledger.status();
    expect(readdirSync(place).sort()).toEqual([`${id}-000000000003.json`, `${id}-000000000006.json`]);
    expect(await anchorPlace(place).read(id)).toMatchObject({ size: 6 });
    expect(await anchorPlace(place).read('another')).toBeNull();
  });

  it('that fails is logged and remembered, and forgotten when it works again', async () => {
    const place = join(folder.path, 'later', 'anchor.json');
    const ports = portsOf(records, place);
    expect(await keepAnchored(ports, HOUR)).toBe(false);
    expect(logged).toEqual(['error: no checkpoint could be written']);
    const { anchor, anchor_problem } = await records.ledger.status();
    expect(anchor).toBeNull();
    expect(anchor_problem).toMatchObject({ at: now, place, says: expect.stringContaining('ENOENT') });
    await mkdir(join(folder.path, 'later'));
    // The claim of the failed attempt holds for a while, so that a broken place is not tried all the time.
    expect(await keepAnchored(ports, HOUR)).toBe(false);
    now += HOUR;
    expect(await keepAnchored(ports, HOUR)).toBe(true);
    expect(await records.ledger.status()).toMatchObject({ anchor: { size: 3 }, anchor_problem: null });
  });

  it('is not replaced by one of another history', async () => {
    const file = join(folder.path, 'anchor.json');
    const ports = portsOf(records, file);
    await keepAnchored(ports, HOUR);
    const kept = await readFile(file, 'utf8');
    const { signature, ...rest } = JSON.parse(kept) as Checkpoint;
    await writeFile(file, JSON.stringify({ ...rest, size: 2, signature }));
    now += HOUR;
    await grow();
    expect(await keepAnchored(ports, HOUR)).toBe(false);
    const { anchor_problem } = await records.ledger.status();
    expect(anchor_problem?.says).toContain('not in order');
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ size: 2 });
  });

  it('goes into git notes, with neither hooks nor a configured identity', async () => {
    const repository = join(folder.path, 'repository');
    gitRepository(repository);
    const trace = join(folder.path, 'hook-ran');
    const hook = join(repository, '.git', 'hooks', 'reference-transaction');
    await mkdir(join(repository, '.git', 'hooks'), { recursive: true });
    await writeFile(hook, `#!/bin/sh\ntouch '${trace}'\n`);
    await chmod(hook, 0o755);
    const ports = portsOf(records, `git:${repository}`);
    expect(await keepAnchored(ports, HOUR)).toBe(true);
    now += HOUR;
    await grow();
    expect(await keepAnchored(ports, HOUR)).toBe(true);
    expect(existsSync(trace)).toBe(false);
    const log = execFileSync('git', ['-C', repository, 'log', '--notes=polycrate-mcp'], GIT);
    expect(log.match(/polycrate-mcp checkpoint 1/g)).toHaveLength(2);
    const { id, anchor } = await records.ledger.status();
    expect(anchor).toMatchObject({ size: 6, place: `git:${repository}` });
    expect(await anchorPlace(`git:${repository}`).read(id)).toMatchObject({ size: 6 });
    await rename(repository, `${repository}.gone`);
    await expect(anchorPlace(`git:${repository}`).read(id)).rejects.toThrow('cannot hold anchors');
    rmSync(`${repository}.gone`, { recursive: true });
  });
}

describe('an anchor of a ledger in SQLite', () => {
  anchorContract(async (folder) => () => openSqlite(folder));
});

describeWithPostgres('an anchor of a ledger in PostgreSQL', () => {
  let server: PostgresServer;
  const places: Place[] = [];
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(async () => {
    await Promise.all(places.map((place) => place.remove()));
    await server.stop();
  });
  anchorContract(async () => {
    const place = await server.place();
    places.push(place);
    return () => createPostgresLedger({ url: place.url, log: () => undefined });
  });
});
