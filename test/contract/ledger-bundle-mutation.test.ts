import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { exportBundle, type BundleSink } from '../../src/history/export-bundle.ts';
import { signManifest, type BundleFile, type BundleManifest } from '../../src/ledger/bundle.ts';
import type { CheckpointKeys } from '../../src/ledger/checkpoint.ts';
import { verifyBundle, type BundleSource, type BundleVerification } from '../../src/ledger/verify-bundle.ts';
import { verifyLedger } from '../../src/ledger/verify-ledger.ts';
import { canonicalJson, sha256 } from '../../src/shared/json.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { verifyBundle as verifyAgain } from '../support/second-bundle-verifier.mjs';
import { storeHistory } from './ledger-history.ts';

type Files = Map<string, Buffer>;
type Keys = CheckpointKeys & { privateKey: KeyObject };

let home: Awaited<ReturnType<typeof tempFolder>>;
let keys: Keys & { publicText: string };
let bundle: Files;

function inMemory(files: Files): BundleSink & BundleSource {
  const listed = (): BundleFile[] =>
    [...files].map(([name, data]) => ({ name, bytes: data.length, sha256: sha256(data) })).sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    write: async (name, chunk) => void files.set(name, Buffer.concat([files.get(name) ?? Buffer.of(), Buffer.from(chunk as string)])),
    finish: async () => listed(),
    manifest: async () => files.get('bundle.json')!.toString(),
    names: async () => [...files.keys()].filter((name) => name !== 'bundle.json'),
    digest: async (name) => listed().find((file) => file.name === name) ?? null,
    lines: async function* (name) {
      const lines = files.get(name)!.toString().split('\n');
      yield* lines.at(-1) === '' ? lines.slice(0, -1) : lines;
    },
  };
} // prettier-ignore

beforeAll(async () => {
  home = await tempFolder('bundle-mutation');
  const runs = await storeHistory(home.path);
  const records = openSqlite(home.path);
  const all = loadCheckpointKeys({ home: home.path, given: null });
  keys = { ...all, privateKey: all.privateKey! };
  const ports = { check: records.check, keys: () => keys, clock: systemClock, log: () => undefined };
  const { checkpoint } = await verifyLedger(ports, { anchor: null, incremental: false });
  bundle = new Map();
  const logs = {
    async *bytes(run_id: string) {
      if (run_id === runs[2]) yield Buffer.from('o2\ta\n');
    },
  };
  await exportBundle(
    { ...records, logs },
    {
      choice: { run_ids: runs },
      asked: { filters: { run: runs }, interval: { since: null, until: null } },
      checkpoint: checkpoint!,
      keys,
      people: true,
      logs: true,
      at: 1,
    },
    inMemory(bundle),
  );
  await records.close();
});
afterAll(() => home.remove());

const verify = (files: Files): Promise<BundleVerification> =>
  verifyBundle(inMemory(files), { trusted: () => keys.publicKey });

let copies = 0;
async function again(files: Files): Promise<string[]> {
  const folder = join(home.path, `copy-${copies++}`);
  for (const [name, data] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), data);
  }
  return verifyAgain(folder, keys.publicText);
}

const manifestOf = (files: Files): BundleManifest => JSON.parse(files.get('bundle.json')!.toString());

/** As somebody who has the ledger's own key would hand it out: digests and signature fit. */
function signedAnew(change: (run: any, index: number) => any, counts?: (counts: any) => void): Files {
  const files = new Map(bundle);
  const lines = bundle.get('runs.jsonl')!.toString().trimEnd().split('\n');
  const changed = lines.map((line, index) => change(JSON.parse(line), index)).filter((run) => run !== null);
  files.set('runs.jsonl', Buffer.from(changed.map((run) => `${canonicalJson(run)}\n`).join('')));
  const { format: _f, key_id: _k, public_key: _p, signature: _s, ...parts } = structuredClone(manifestOf(bundle));
  counts?.(parts.counts);
  parts.files = parts.files.map(({ name }) => ({ name, bytes: files.get(name)!.length, sha256: sha256(files.get(name)!) }));
  files.set('bundle.json', Buffer.from(signManifest(parts, keys).text));
  return files;
} // prettier-ignore

it('is sound as it was made, for both verifiers', async () => {
  expect(await verify(bundle)).toMatchObject({
    result: 'sound',
    findings: [],
    checked: { runs: 3, events: 9 },
  });
  expect(await again(bundle)).toEqual([]);
  expect(await verify(signedAnew((run) => run))).toMatchObject({ result: 'sound' });
});

it('every byte of every file', async () => {
  for (const [name, data] of bundle) {
    // The manifest byte by byte; the others are held by one digest each.
    for (let at = 0; at < data.length; at += name === 'bundle.json' ? 1 : 97) {
      const changed = Buffer.from(data);
      changed[at]! ^= 1;
      const { result } = await verify(new Map(bundle).set(name, changed));
      expect({ name, at, result }).toEqual({ name, at, result: 'tampered' });
    }
    for (const other of [data.subarray(0, -1), Buffer.concat([data, Buffer.from('\n')])]) {
      expect((await verify(new Map(bundle).set(name, other))).result).toBe('tampered');
      expect(await again(new Map(bundle).set(name, other))).not.toEqual([]);
    }
  }
});

it('files that are gone or were added', async () => {
  for (const name of [...bundle.keys()].filter((file) => file !== 'bundle.json')) {
    const files = new Map(bundle);
    files.delete(name);
    expect(await verify(files)).toMatchObject({ result: 'tampered', findings: [`${name} is missing`] });
    expect(await again(files)).toEqual([`file: ${name}`]);
  }
  const added = new Map(bundle).set('logs/extra.log', Buffer.from('x'));
  expect(await verify(added)).toMatchObject({ findings: ['logs/extra.log is not part of the bundle'] });
  expect(await again(added)).toEqual(['added: logs/extra.log']);
});

it('another key: not provable, and with its own public key in hand tampered', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { format: _f, key_id: _k, public_key: _p, signature: _s, ...parts } = manifestOf(bundle);
  const { text } = signManifest(parts, { id: keys.id, publicKey, privateKey });
  const files = new Map(bundle).set('bundle.json', Buffer.from(text));
  expect((await verify(files)).result).toBe('tampered');
  expect(await again(files)).not.toEqual([]);
  const stranger = await verifyBundle(inMemory(bundle), { trusted: () => publicKey });
  expect(stranger).toMatchObject({ result: 'not_provable', findings: [] });
});

/** Every value in a JSON document, by its path. */
function* leaves(value: unknown, path: (string | number)[] = []): Generator<(string | number)[]> {
  if (value === null || typeof value !== 'object') yield path;
  else for (const [name, member] of Object.entries(value)) yield* leaves(member, [...path, name]);
}

function altered(document: any, path: readonly (string | number)[]): any {
  const copy = structuredClone(document);
  const parent = path.slice(0, -1).reduce((node, name) => node[name], copy);
  const name = path.at(-1)!;
  const value = parent[name];
  parent[name] =
    typeof value === 'number' ? value + 1
    : typeof value === 'boolean' ? !value
    : typeof value !== 'string' ? 'forged'
    : /^[0-9a-f]+$/.test(value) ? `${value.startsWith('f') ? 'e' : 'f'}${value.slice(1)}`
    : `${value} `;
  return copy;
} // prettier-ignore

describe('signed anew by who has the key', () => {
  it('every value of every run', async () => {
    const lines = bundle.get('runs.jsonl')!.toString().trimEnd().split('\n').map((line) => JSON.parse(line));
    let changed = 0;
    for (const [index, run] of lines.entries()) {
      for (const path of leaves(run)) {
        const files = signedAnew((other, at) => (at === index ? altered(other, path) : other));
        const { result } = await verify(files);
        expect({ path, result }).toEqual({ path, result: 'tampered' });
        expect({ path, again: await again(files) }).not.toEqual({ path, again: [] });
        changed += 1;
      }
    }
    expect(changed).toBeGreaterThan(200);
  }); // prettier-ignore

  it('a run twice, a first event that is gone, events out of order, a path that is too short', async () => {
    const changes = [
      (run: any, at: number) => (at === 1 ? null : run),
      (run: any) => ({ ...run, events: run.events.slice(1) }),
      (run: any) => ({ ...run, events: run.events.toReversed() }),
      (run: any) => ({ ...run, events: run.events.map((event: any) => ({ ...event, path: event.path.slice(1) })) }),
      (run: any) => ({ ...run, extra: 1 }),
    ];
    for (const change of changes) {
      const files = signedAnew(change);
      expect((await verify(files)).result).toBe('tampered');
    }
    const [first] = bundle.get('runs.jsonl')!.toString().split('\n');
    const twice = signedAnew((run, at) => (at === 1 ? JSON.parse(first!) : run));
    expect((await verify(twice)).findings).toContainEqual(expect.stringContaining('is there twice'));
  }); // prettier-ignore

  it('a run that is left out with its counts is not found, as FORMAT.md says', async () => {
    const files = signedAnew((run, at) => (at === 2 ? null : run), (counts) => {
      Object.assign(counts, { runs: 2, events: 8, private_values: counts.private_values - 6 });
      delete counts.status.pending;
    });
    const { result, findings } = await verify(files);
    expect({ result, findings }).toEqual({ result: 'sound', findings: [] });
  }); // prettier-ignore
});
