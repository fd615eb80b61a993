import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/adapters/host/host.ts';
import {
  ALWAYS_THERE,
  createBeside,
  createJournal,
  createJournalledLedger,
  type OpenRun,
  type Reach,
} from '../../src/adapters/journal/index.ts';
import type { Records } from '../../src/history/records.ts';
import type { Intent, IntentRequest } from '../../src/runs/run-ledger.ts';
import { intentFor, LEDGER_WORKER, mintId, openSqlite, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { askChild } from './ask-child.ts';
import { ledgerContract, owner, type LedgerKind } from './run-ledger.contract.ts';

const CHILD = new URL('./ledger-child.mjs', import.meta.url).pathname;
const NOW = Date.UTC(2026, 8, 1);
const SOMEBODY = owner(7);

interface Both extends Records {
  database: Records;
  journal: Records;
}

/** A ledger that can be said to be away, with a journal beside it. */
function openBoth(home: string, parts: { reach?: Reach; goesOn?: (run: OpenRun) => Promise<boolean> } = {}): Both {
  const [database, own] = [openSqlite(home), openSqlite(join(home, 'journal'))];
  const beside = createBeside(join(home, 'journal'));
  const journal = createJournal({ records: own, file: join(home, 'journal', 'ledger.db'), beside });
  const { reach = ALWAYS_THERE, goesOn = async () => true } = parts;
  const processes = { self: () => SOMEBODY };
  const records = createJournalledLedger({ database, journal, reach, beside, spools: true, goesOn, processes, clock: systemClock });
  return { ...records, database, journal: own };
} // prettier-ignore

const kind: LedgerKind = {
  name: 'SQLite with a journal beside it',
  async place() {
    const { path, remove } = await tempFolder('journalled');
    return { at: path, remove };
  },
  connect: openBoth,
  async request(at, intent) {
    const question = { id: 1, method: 'request', args: [intent] };
    const { answer, kill } = await askChild<{ value: Intent }>([CHILD, LEDGER_WORKER.href, at], question);
    return { intent: answer.value, kill };
  },
};

// As long as the database answers, everything is as without a journal.
ledgerContract(kind);

describe('a run on one side', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let both: Both;
  let since: number | null;
  let going: boolean[];
  const homes: (() => Promise<void>)[] = [];
  afterAll(() => Promise.all(homes.map((remove) => remove())));
  beforeEach(async () => {
    [home, since, going] = [await tempFolder('journalled'), null, []];
    homes.push(home.remove);
    const reach: Reach = { ...ALWAYS_THERE, away: async () => since };
    both = openBoth(home.path, { reach, goesOn: async () => going.shift() ?? false });
  });
  afterEach(() => both.close());

  const intent = (more: Partial<IntentRequest> = {}, facts: object = {}): IntentRequest => {
    const one = { ...intentFor({ requested_at: NOW }), exclusive: true, ...more };
    return { ...one, event: { ...one.event, facts: { ...one.event.facts, ...facts } } };
  };

  it('is in the way of its like on the other side, until it is over', async () => {
    const first = intent();
    await both.ledger.request(first);
    expect(await both.ledger.request(first)).toMatchObject({ outcome: 'replayed' });
    since = NOW;
    going = [true];
    expect(await both.ledger.request(intent())).toEqual({ outcome: 'active', run_id: first.event.run_id });
    // On this machine it has ended, which the database is still to be told.
    const second = intent();
    expect(await both.ledger.request(second)).toMatchObject({ outcome: 'stored' });
    since = null;
    expect(await both.ledger.request(intent())).toEqual({ outcome: 'active', run_id: second.event.run_id });
    expect(await both.ledger.request(intent({}, { block: 'web' }))).toMatchObject({ outcome: 'stored' });
    expect((await both.leases.list()).map(({ run_id }) => run_id)).toContain(second.event.run_id);
  });

  it('that was journalled while another one got into the database is not launched', async () => {
    await both.ledger.request(intent());
    since = NOW;
    going = [false, true];
    const late = intent();
    expect(await both.ledger.request(late)).toMatchObject({ outcome: 'active' });
    expect(await both.ledger.find(late.event.run_id)).toMatchObject({ status: 'failed', launched: false, status_reason: expect.stringContaining('not launched') });
    expect(await both.journal.leases.list()).toEqual([]);
  }); // prettier-ignore

  it('that waited for approval is not launched beside one of the journal', async () => {
    const asked = intent({ lease: { ...intentFor({ requested_at: NOW }).lease, executor: 'approval' } });
    asked.lease.run_id = asked.event.run_id;
    await both.ledger.request(asked);
    since = NOW;
    const journalled = intent();
    await both.ledger.request(journalled);
    since = null;
    const [lease] = (await both.leases.list()).filter(({ executor }) => executor === 'approval');
    const taken = await both.leases.take(lease!, SOMEBODY, NOW);
    const active = { active: journalled.event.run_id };
    expect(await both.leases.promote(taken!, { executor: 'docker', alone: true })).toEqual(active);
    expect(await both.leases.promote(taken!, { executor: 'docker', alone: false })).toBeNull();
  });

  it('has its steps with it, whose blocks are looked for on both sides', async () => {
    since = NOW;
    const parent = mintId();
    await both.ledger.request(intentFor({ requested_at: NOW, id: parent, kind: 'workflow', workflow: 'release', block: null, action: null }));
    const step = intent({}, { parent });
    expect(await both.ledger.request(step)).toMatchObject({ outcome: 'stored' });
    since = null;
    const there = await storeRun(both.database, { requested_at: NOW, block: 'web', status: 'running' });
    expect(await both.ledger.request(intent({}, { parent, block: 'web' }))).toEqual({ outcome: 'active', run_id: there.id });
    const app = intent({}, { parent, block: 'app' });
    expect(await both.ledger.request(app)).toMatchObject({ outcome: 'stored' });
    expect(await both.database.archive.absent([step.event.run_id, app.event.run_id])).toHaveLength(2);
    const quota = { rule: 'few', concurrency: 2, per_hour: null };
    await expect(both.ledger.request(intent({ quota }, { parent, block: 'else' }))).rejects.toMatchObject({ code: 'refused' });
  }); // prettier-ignore

  it('says that it is reported to no API, where it would have been', async () => {
    since = NOW;
    const one = intent({ submission: { endpoint: 'acme' } });
    await both.ledger.request(one);
    expect(await both.ledger.find(one.event.run_id)).toMatchObject({
      api: { endpoint: 'acme', submission: 'failed' },
    });
    expect(await both.outbox.find(one.event.run_id)).toBeNull();
  });

  it('keeps the key for digests that the database has', async () => {
    const key = await both.ledger.key('runs');
    since = NOW;
    expect(Buffer.from(await both.ledger.key('runs'))).toEqual(Buffer.from(key));
    expect(await both.ledger.key()).not.toEqual(await both.database.ledger.key());
  });
});
