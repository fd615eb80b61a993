import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { bundlesIn, openBundleFolder } from '../../src/adapters/host/bundle-folder.ts';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { createJournalKeeper } from '../../src/history/keep-merged.ts';
import { mergeJournal, type MergePorts } from '../../src/history/merge-journal.ts';
import type { Records } from '../../src/history/records.ts';
import { tidyJournal } from '../../src/history/tidy-journal.ts';
import { verifyBundle } from '../../src/ledger/verify-bundle.ts';
import { verifyLedger } from '../../src/ledger/verify-ledger.ts';
import type { ActionRun } from '../../src/runs/action-run.ts';
import { callsEvent, type Call } from '../../src/runs/trail-event.ts';
import { finished } from './ledger-history.ts';
import { mintId, openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { until } from '../support/traces.ts';

const NOW = Date.UTC(2026, 8, 1);
const log = (): void => undefined;
const principal = (display: string) =>
  ({ kind: 'os', issuer: null, subject: `1:${display}`, display }) as const;
const callOf = (display: string): Call => ({
  ...{ id: mintId(), at: NOW, tool: 'run_action', outcome: 'launched', code: null, duration_ms: 1, run_id: null },
  ...{ principal: principal(display), client: null, sent: '{"block":"db"}' },
}); // prettier-ignore

// Two ledgers as they are when a database comes back: what a journal has, and a ledger that erased Ada and has one of the calls.
let folder: Awaited<ReturnType<typeof tempFolder>>;
let calls: Call[];
let runs: { ada: ActionRun; bob: ActionRun; open: ActionRun };
let copies = 0;
let home: string;
let [journal, ledger] = [] as unknown as [Records, Records];

const batch = (of: readonly Call[]) =>
  callsEvent(of, { at: NOW, key: new Uint8Array(32), redact: (text) => text });
const keys = () => loadCheckpointKeys({ home: join(home, 'journal'), given: null });
const ports = (database: MergePorts['database'] = ledger): MergePorts => ({
  ...{ journal, database, keys, clock: systemClock, log },
  bundles: bundlesIn(join(home, 'merged')),
});
const all = async (): Promise<ActionRun[]> => {
  const filters = { span: { since: null, until: null }, time_field: 'started' } as const;
  const query = { filters, include_excluded: true, order: 'oldest', limit: 50, after: null } as const;
  return (await journal.history.search(query)).runs;
};
const verified = async (records: Records, of: string) => {
  const own = () => loadCheckpointKeys({ home: join(home, of), given: null });
  return (
    await verifyLedger(
      { check: records.check, keys: own, clock: systemClock, log },
      { anchor: null, incremental: false },
    )
  ).findings;
};
const trail = async () =>
  (await ledger.trail.search({ filters: { span: { since: null, until: null } }, limit: 100, after: null }))
    .calls;

beforeAll(async () => {
  folder = await tempFolder('merge');
  calls = [callOf('Ada'), callOf('Bob'), callOf('Bob')];
  const [from, to] = ['journal', 'ledger'].map((name) => openSqlite(join(folder.path, 'original', name))) as [
    Records,
    Records,
  ];
  const past = { display: 'Ada', reason: 'of Ada' };
  await storeRun(to, { requested_at: NOW - 1_000, ...past });
  await to.upkeep.erase({ subject: 'Ada', logs: false, at: NOW, by: {} });
  // Its answer was lost, so it was recorded once more.
  await to.trail.append(batch([calls[1]!]));
  runs = {
    ada: await storeRun(from, { requested_at: NOW, ...past }),
    bob: await storeRun(from, { requested_at: NOW + 1, display: 'Bob', reason: 'of Bob', block: 'web' }),
    open: {} as ActionRun,
  };
  await from.trail.append(batch(calls));
  runs.open = await storeRun(from, {
    requested_at: NOW + 2,
    display: 'Bob',
    block: 'app',
    status: 'running',
  });
  await Promise.all([from.close(), to.close()]);
});
afterAll(() => folder.remove());
beforeEach(() => {
  home = join(folder.path, `copy-${copies++}`);
  cpSync(join(folder.path, 'original'), home, { recursive: true });
  [journal, ledger] = ['journal', 'ledger'].map((name) => openSqlite(join(home, name))) as [Records, Records];
});
afterEach(() => Promise.all([journal.close(), ledger.close()]));

it('brings in what ended and was called, without who was erased, and with proofs that name nobody', async () => {
  const merged = await mergeJournal(ports(), await all());
  expect(merged).toMatchObject({ imported: 2, run_ids: [runs.ada.id, runs.bob.id] });
  expect(await ledger.ledger.find(runs.bob.id)).toMatchObject({
    ...{ status: 'success', reason: 'of Bob', principal: { display: 'Bob' }, source: 'ingest' },
    evidence: { elsewhere: { ledger: await journal.check.id(), bundle: merged.bundle } },
  });
  expect(await ledger.ledger.find(runs.ada.id)).not.toHaveProperty('reason');
  expect(await ledger.ledger.find(runs.open.id)).toBeNull();
  expect((await trail()).map(({ id }) => id).sort()).toEqual(calls.map(({ id }) => id).sort());
  expect((await trail()).find(({ id }) => id === calls[0]!.id)).toMatchObject({ principal: null, arguments: null });
  expect((await trail()).find(({ id }) => id === calls[2]!.id)).toMatchObject({ arguments: '{"block":"db"}' });
  const [name] = readdirSync(join(home, 'merged'));
  const source = openBundleFolder(join(home, 'merged', name!));
  expect(await verifyBundle(source, { trusted: () => keys().publicKey })).toMatchObject({ result: 'sound', checked: { runs: 2, private_values: 0 } });
  expect(await verified(ledger, 'ledger')).toEqual([]);
}); // prettier-ignore

/** Between them nothing is written. */
const STEPS: (string | symbol)[] = ['absent', 'import', 'append', 'storePage'];

it('broken off after any of its steps, it ends with the next attempt, and nothing is there twice', async () => {
  for (let step = 1; ; step++) {
    let left = step;
    const breaking = <T extends object>(room: T): T =>
      new Proxy(room, {
        get: (target, name) => async (...given: unknown[]) => {
          const answer: unknown = await (target[name as keyof T] as (...all: unknown[]) => unknown)(...given);
          if (STEPS.includes(name) && --left === 0) throw new Error('broken off');
          return answer;
        },
      });
    const { archive, mirror, trail: calling, upkeep } = ledger;
    const attempt = mergeJournal(ports({ archive: breaking(archive), mirror: breaking(mirror), trail: breaking(calling), upkeep: breaking(upkeep) }), await all());
    const broken = await attempt.then(() => false, (error: Error) => error.message === 'broken off');
    expect((await mergeJournal(ports(), await all())).run_ids).toEqual([runs.ada.id, runs.bob.id]);
    expect((await trail()).map(({ id }) => id).sort()).toEqual(calls.map(({ id }) => id).sort());
    expect((await ledger.archive.events([runs.ada.id, runs.bob.id])).map(({ event }) => event.kind)).toEqual(['run_imported', 'run_imported']);
    if (!broken) return expect(step).toBeGreaterThan(4);
    await Promise.all([journal.close(), ledger.close()]);
    home = join(folder.path, `copy-${copies++}`);
    cpSync(join(folder.path, 'original'), home, { recursive: true });
    [journal, ledger] = ['journal', 'ledger'].map((name) => openSqlite(join(home, name))) as [Records, Records];
  }
}); // prettier-ignore

it('takes out of the journal what was merged, and can still prove what comes later', async () => {
  const { calls_up_to } = await mergeJournal(ports(), await all());
  // A call that came meanwhile is nowhere else yet.
  await journal.trail.append(batch([callOf('Bob')]));
  expect(await tidyJournal(ports(), 0)).toBe(false);
  expect(await tidyJournal(ports(), calls_up_to)).toBe(true);
  expect((await all()).map(({ id }) => id)).toEqual([runs.open.id]);
  const file = new Sqlite(join(home, 'journal', 'ledger.db'), { readonly: true });
  expect(JSON.stringify(file.prepare('SELECT value FROM event_private').all())).not.toMatch(/of Ada|of Bob/);
  file.close();
  await journal.ledger.append(finished(runs.open.id, { at: NOW + 9, status: 'failed', exit_code: 3 }));
  const [lease] = await journal.leases.list();
  expect(await mergeJournal(ports(), await all())).toMatchObject({ run_ids: [], imported: 0 });
  await journal.leases.give(lease!, 'delete');
  expect(await mergeJournal(ports(), await all())).toMatchObject({ run_ids: [runs.open.id], imported: 1 });
  expect(await trail()).toHaveLength(4);
  expect(await verified(journal, 'journal')).toEqual([]);
  expect(await verified(ledger, 'ledger')).toEqual([]);
});

it('takes nothing from a journal that was changed', async () => {
  const file = new Sqlite(join(home, 'journal', 'ledger.db'));
  file.prepare("UPDATE runs SET record = json_set(record, '$.exit_code', 7) WHERE id = ?").run(runs.bob.id);
  file.close();
  await expect(mergeJournal(ports(), await all())).rejects.toMatchObject({ code: 'tampered', message: expect.stringContaining('nothing was merged') });
  expect((await ledger.archive.absent([runs.ada.id, runs.bob.id])).length).toBe(2);
}); // prettier-ignore

it('is merged into no other ledger than the one that it stood in for', async () => {
  const keeper = createJournalKeeper({
    ...ports(),
    database: ledger,
    away: async () => null,
    of: async () => 'another',
    isThere: () => true,
    unmerged: all,
    merged: async () => undefined,
  });
  keeper.begin();
  expect(await until('a refusal', () => keeper.problem())).toContain('the journal is one of ledger another');
  await keeper.stop();
  expect(await ledger.archive.absent([runs.ada.id, runs.bob.id])).toHaveLength(2);
});
