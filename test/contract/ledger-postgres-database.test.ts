import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import { canonicalJson } from '../../src/shared/json.ts';
import { fillLedger, intentFor, storeRun } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import {
  describeWithOwnPostgres,
  ownPostgres,
  type OwnPostgresServer,
  type Place,
} from '../support/postgres.ts';
import { pruneBefore } from './ledger-prune.contract.ts';
import { faultsOf } from '../support/recheck-chain.ts';

// prettier-ignore
const NOW = Date.UTC(2026, 8, 1);
const ROLES = readFileSync(new URL('../../manifests/postgres/roles.sql', import.meta.url), 'utf8');
const ANY = { span: { since: null, until: null }, time_field: 'started' } as const;

describeWithOwnPostgres('the database of a ledger', () => {
  let server: OwnPostgresServer;
  let place: Place;
  let ledger: Records;
  const rows = (sql: string): Promise<any[]> => server.query(sql.replaceAll('@', `${place.schema}.`));
  const messages: string[] = [];
  const connect = (url: string): Records =>
    createPostgresLedger({
      url,
      log: (_level, message, fields) => messages.push(`${message} ${JSON.stringify(fields)}`),
    });

  beforeAll(async () => {
    server = await ownPostgres();
    await server.query(ROLES);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    place = await server.place();
    ledger = connect(place.url);
  });
  afterEach(async () => {
    await ledger.close();
    await place.remove();
  });

  it('refuses to change, delete or truncate events and to change private values, even to its administrator', async () => {
    await storeRun(ledger, { requested_at: NOW, reason: 'why' });
    const administrator = new pg.Client(place.url);
    await administrator.connect();
    // As a restore or a replica would, which switches ordinary triggers off.
    await administrator.query("SET session_replication_role = 'replica'");
    for (const sql of [
      "UPDATE events SET facts = '{}'",
      'UPDATE events SET seq = seq WHERE false',
      'DELETE FROM events WHERE seq = 1',
      'TRUNCATE events',
      'TRUNCATE event_private',
      "UPDATE event_private SET value = '1'",
      "INSERT INTO events SELECT seq, at, kind, run_id, '{}', commitments, prev, hash, token FROM events ON CONFLICT (seq) DO UPDATE SET facts = '{}'",
    ])
      await expect(administrator.query(sql), sql).rejects.toThrow('append-only');
    await expect(administrator.query('INSERT INTO events SELECT * FROM events')).rejects.toThrow('duplicate key');
    await administrator.end();
    expect((await ledger.ledger.status()).events).toBe(3);
  }); // prettier-ignore

  it('gives the role of the servers all that servers do, and no right to write any table', async () => {
    const schema = 'ledger';
    const at = (user: string): Place => ({ ...place, url: server.through({ ...place, url: place.url.replace(/&?options=[^&]*/, '') }, { user }) });
    const early = connect(at('polycrate_server').url);
    await expect(early.ledger.status()).rejects.toMatchObject({ code: 'ledger_unavailable', next: expect.stringContaining('doctor') });
    const owner = connect(at('polycrate_owner').url);
    expect(await owner.ledger.status()).toMatchObject({ events: 0, writable: true });
    await owner.close();

    // No restart is needed once the owner has been there.
    const run = await storeRun(early, { requested_at: NOW, reason: 'why', display: 'Ada' });
    expect(await early.ledger.find(run.id)).toEqual(run);
    const [guard] = [intentFor({ requested_at: NOW })].map(({ event }) => ({ run_id: event.run_id, fence: 1 }));
    await early.ledger.request(intentFor({ requested_at: NOW, id: guard!.run_id }));
    const self = { host: 'h', boot_id: 'b', pid_ns: 'n', pid: 1, pid_start: '1' };
    expect(await early.leases.take(guard!, self, NOW)).toMatchObject({ fence: 2 });
    expect(await early.leases.renew(self, NOW + 1)).toHaveLength(1);
    expect((await early.ledger.key()).length).toBe(32);
    expect(await early.history.names('user', 5)).toEqual(['1:ada', 'ada', 'deploy']);
    await early.watch.changed(10);

    const client = new pg.Client(at('polycrate_server').url);
    await client.connect();
    const tables = await server.query('SELECT tablename FROM pg_tables WHERE schemaname = $1', [schema]);
    expect(tables.length).toBeGreaterThan(8);
    for (const { tablename } of tables)
      for (const sql of [`UPDATE ${tablename} SET ctid = ctid`, `DELETE FROM ${tablename}`, `TRUNCATE ${tablename}`, `INSERT INTO ${tablename} DEFAULT VALUES`, `DROP TABLE ${tablename}`, `ALTER TABLE ${tablename} DISABLE TRIGGER ALL`])
        await expect(client.query(sql), sql).rejects.toThrow(/permission denied|must be owner|cannot assign to system column/);
    await expect(client.query('CREATE TABLE mine ()')).rejects.toThrow('permission denied');
    await expect(client.query("SELECT ledger_write('{}')")).rejects.toThrow('permission denied');
    // A table of its own that stands in front of ours changes nothing for the functions.
    await client.query('CREATE TEMPORARY TABLE leases (run_id text, fence integer)');
    const { rows: taken } = await client.query("SELECT * FROM ledger_lease_take($1, 2, 'x', 1, gen_random_uuid())", [guard!.run_id]);
    expect(taken).toMatchObject([{ run_id: guard!.run_id, fence: 3 }]);
    await client.end();

    const erasure = { subject: 'Ada', logs: false, at: NOW, by: { principal: null, reason: null } };
    const servers = connect(at('polycrate_server').url);
    await expect(servers.upkeep.erase(erasure)).rejects.toMatchObject({ code: 'refused', next: expect.stringContaining('polycrate_upkeep') });
    await expect(servers.upkeep.clean('erasing')).rejects.toMatchObject({ code: 'refused' });
    expect(await servers.ledger.find(run.id)).toEqual(run);
    const upkeep = connect(at('polycrate_upkeep').url);
    expect(await upkeep.upkeep.erase(erasure)).toMatchObject({ runs: 1 });
    expect(await upkeep.upkeep.clean('erasing')).toMatchObject({ done: true });
    expect(await servers.ledger.find(run.id)).not.toHaveProperty('principal');
    expect(await servers.upkeep.isErased('Ada')).toBe(true);
    const home = await tempFolder('roles');
    await expect(pruneBefore({ records: servers, home: home.path }, NOW + 2_000)).rejects.toMatchObject({ code: 'refused' });
    expect(await servers.ledger.find(run.id)).not.toBeNull();
    expect(await pruneBefore({ records: upkeep, home: home.path }, NOW + 2_000)).toMatchObject({ events: 3, held: { open: true } });
    expect(await servers.ledger.find(run.id)).toBeNull();
    await home.remove();
    for (const one of [servers, upkeep]) await one.close();
    const keeper = new pg.Client(at('polycrate_upkeep').url);
    await keeper.connect();
    for (const sql of ["UPDATE events SET facts = '{}'", 'DELETE FROM events', "UPDATE event_private SET value = '1'"])
      await expect(keeper.query(sql), sql).rejects.toThrow('append-only');
    for (const sql of ['TRUNCATE events', 'ALTER TABLE events DISABLE TRIGGER ALL', 'DROP TABLE runs'])
      await expect(keeper.query(sql), sql).rejects.toThrow(/permission denied|must be owner/);
    await keeper.end();

    await early.close();
    await server.query('CREATE ROLE stranger LOGIN');
    const stranger = new pg.Client(at('stranger').url);
    await stranger.connect();
    for (const sql of ['SELECT * FROM ledger.events', 'SELECT * FROM ledger.ledger_key', "SELECT ledger.ledger_withdraw(gen_random_uuid())"])
      await expect(stranger.query(sql), sql).rejects.toThrow('permission denied');
    await stranger.end();
  }); // prettier-ignore

  it('holds every text that JSON can, in the record and for searching', async () => {
    const reason = 'nul \u0000 half \ud800 bell \u0007 quote " \\ ü 😀 \u2028';
    const run = await storeRun(ledger, { requested_at: NOW, reason, block: 'a\u0000b', display: 'Zo\u0000é', aliases: [{ source: 'x', endpoint: null, id: 'al\u0000ias' }] });
    expect(await ledger.ledger.find(run.id)).toMatchObject({ reason, block: 'a\u0000b' });
    expect((await ledger.ledger.find('al\u0000ias'))?.id).toBe(run.id);
    expect(await ledger.ledger.find('\u0000')).toBeNull();
    const found = async (filters: object) =>
      (await ledger.history.search({ filters: { ...ANY, ...filters }, include_excluded: true, order: 'newest', limit: 5, after: null })).total;
    expect(await found({ text: 'NUL \u0000 half' })).toBe(1);
    expect(await found({ block: ['a\u0000b'] })).toBe(1);
    expect(await found({ user: ['zo\u0000É'] })).toBe(1);
    // One text does not run into the next one.
    expect(await found({ text: '\u2028a' })).toBe(0);
    expect(await found({ text: '\u2028\u0001a' })).toBe(0);
    const events = await rows('SELECT * FROM @events ORDER BY seq');
    expect(faultsOf(events, await rows('SELECT * FROM @event_private'))).toEqual([]);
    for (const { facts } of events) expect(canonicalJson(JSON.parse(facts))).toBe(facts);
    const key = { scope: 's\u0000', key: 'k\u0000', arguments_digest: 'a', valid_ms: 9 };
    await ledger.ledger.request({ ...intentFor({ requested_at: NOW }), idempotency: key });
    expect(await ledger.ledger.replay(key, NOW)).toMatchObject({ outcome: 'replayed' });
  }); // prettier-ignore

  it('has the same records, columns of events and names as the same history in a file', async () => {
    const folder = await tempFolder('twin');
    const past = { requested_at: NOW, id: '01999999-0000-7000-8000-000000000001', reason: 'why', display: 'Ada', hostname: 'h' };
    const [twin] = await fillLedger(folder.path, [past]);
    expect(await storeRun(ledger as never, past)).toEqual(twin);
    const names = (await rows('SELECT name FROM @run_people ORDER BY name')).map(({ name }) => name as string);
    expect(names).toEqual(await ledger.history.names('user', 10));
    await folder.remove();
  }); // prettier-ignore

  it('has what is private only as a commitment in the events, and salted', async () => {
    const personal = { display: 'Ada Lovelace', os_user: 'ada-os', hostname: 'adas-laptop', reason: 'because-of-ada', client: 'adas-client' };
    for (const at of [NOW, NOW + 1]) await storeRun(ledger, { requested_at: at, ...personal });
    const events = await rows('SELECT * FROM @events ORDER BY seq');
    for (const value of Object.values(personal)) expect(JSON.stringify(events)).not.toContain(value);
    const [first, second] = events.flatMap(({ commitments }) => (commitments === '{}' ? [] : [JSON.parse(commitments)]));
    expect(Object.keys(first)).toEqual(['approval', 'client', 'hostname', 'os_user', 'principal', 'reason']);
    for (const name of Object.keys(first)) expect(first[name]).not.toBe(second[name]);
  }); // prettier-ignore

  it('of a newer version can be read and ends its runs, but launches nothing, naming both versions', async () => {
    const run = await storeRun(ledger, { requested_at: NOW, status: 'running' });
    // While a server of this version is connected, and before the next one connects.
    await rows('INSERT INTO @ledger_schema (version) VALUES (99)');
    for (const one of [ledger, connect(place.url)]) {
      expect(await one.ledger.status()).toMatchObject({ writable: false, schema: 99, problem: expect.stringMatching(/99.*1/) });
      await expect(one.ledger.request(intentFor({ requested_at: NOW }))).rejects.toMatchObject({
        code: 'ledger_unavailable',
        message: expect.stringMatching(/schema 99.*knows 1/),
      });
      expect(await one.ledger.find(run.id)).toEqual(run);
      if (one !== ledger) await one.close();
    }
    const end = { kind: 'run_finished', run_id: run.id, at: NOW, facts: { status: 'success' }, private: {} } as const;
    expect(await ledger.ledger.append(end)).toMatchObject({ status: 'success' });
  }); // prettier-ignore

  it('is made once by six servers that start at the same time', async () => {
    const servers = Array.from({ length: 6 }, () => connect(place.url));
    await Promise.all(servers.map((one) => one.ledger.status()));
    expect(await rows('SELECT version FROM @ledger_schema')).toEqual([{ version: 1 }]);
    await Promise.all(servers.map((one) => one.close()));
  });

  it('is named without user and password, whatever goes wrong', async () => {
    const secret = 'hunter2-geheim';
    const url = server.through(place, { user: 'postgres', password: secret });
    const good = connect(url);
    const told = [JSON.stringify(await good.ledger.status())];
    await good.close();
    const bad = [
      url.replace('/postgres?', '/nowhere?'),
      url.replace('user=postgres', 'user=nobody'),
      url.replace(/host=[^&]*/, 'host=%2Fnowhere'),
      `postgres://me:${secret}@127.0.0.1:1/ledger`,
    ];
    for (const one of bad) {
      const broken = connect(one);
      const error: any = await broken.ledger.request(intentFor({ requested_at: NOW })).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: 'ledger_unavailable', next: expect.stringContaining('POLYCRATE_MCP_DATABASE_URL') });
      told.push(`${error.message} ${error.next}`);
      await broken.close();
    }
    expect(told[0]).toContain('"location":"postgres:///');
    expect([...told, ...messages].join('\n')).not.toContain(secret);
  }); // prettier-ignore
});
