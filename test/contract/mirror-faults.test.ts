import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/adapters/host/host.ts';
import { createProcessTable } from '../../src/adapters/host/process-table.ts';
import { createPolycrateApi } from '../../src/adapters/polycrate-api/index.ts';
import { createSqliteLedger } from '../../src/adapters/sqlite/index.ts';
import type { Records } from '../../src/history/records.ts';
import type { ApiError } from '../../src/platform/api-error.ts';
import { syncEndpoint, type Synced } from '../../src/platform/mirror-endpoint.ts';
import type { PolycrateApi } from '../../src/platform/polycrate-api.ts';
import { API_KEY, startContractServer, type ContractServer, type Fault } from '../contract-server/start.ts';
import { LEDGER_WORKER } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { remoteRun } from '../support/remote-history.ts';
import { timeLimit } from '../../src/shared/time-limit.ts';

const RUNS = 120;
const EVERYTHING = { span: { since: null, until: null }, time_field: 'started' as const };

describe('the mirror of an API that misbehaves', () => {
  let server: ContractServer;
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let records: Records;
  let api: PolycrateApi;
  beforeAll(async () => {
    [home, server] = await Promise.all([tempFolder('mirror-faults'), startContractServer()]);
    await server.seed('tests', { elsewhere: ['web'] });
    await server.addRuns(Array.from({ length: RUNS }, () => remoteRun()));
    records = createSqliteLedger({ home: home.path, worker: LEDGER_WORKER });
    api = createPolycrateApi({
      name: 'default', url: server.url, key: API_KEY, userAgent: 'test', proxies: { http: null, https: null, none: null },
      ca: async () => (server.caFile === null ? null : await readFile(server.caFile, 'utf8')), clock: systemClock, random: () => 0,
    });
  }); // prettier-ignore
  afterAll(async () => {
    await api.close();
    await records.close();
    expect(await server.violations()).toEqual([]);
    await server.stop();
    await home.remove();
  });
  beforeEach(() => server.faults([]));

  const sync = (): Promise<Synced> =>
    syncEndpoint(
      api,
      { ...records, processes: createProcessTable(home.path), clock: systemClock, redact: (text) => text, environmentOf: () => null },
      { backfill: { kind: 'all' }, signal: timeLimit(60_000) },
    ); // prettier-ignore
  const runs = async (): Promise<number> =>
    (await records.history.search({ filters: EVERYTHING, include_excluded: false, order: 'newest', limit: 1, after: null })).total; // prettier-ignore

  const LISTS = '/action-runs/$';
  it.each<[string, Omit<Fault, 'kind'> & { kind?: string }, RegExp]>([
    ['401', { status: 401, code: 'authentication_failed' }, /401/],
    ['403', { status: 403, code: 'permission_denied' }, /403/],
    ['404', { status: 404, code: 'not_found' }, /404/],
    ['409', { status: 409, code: 'conflict' }, /409/],
    ['410', { status: 410, code: 'gone' }, /410/],
    ['415', { status: 415, code: 'unsupported_media_type' }, /415/],
    ['429', { status: 429, code: 'throttled' }, /429/],
    ['429 with Retry-After', { status: 429, code: 'throttled', headers: { 'retry-after': '0' } }, /429/],
    ['500 as a web page', { status: 500, html: true }, /500/],
    ['502', { status: 502, code: 'provider_bad_gateway' }, /502/],
    ['a redirect', { kind: 'redirect' }, /302/],
    ['a reset', { kind: 'reset' }, /no whole answer|closed|broke|ended/],
    ['a reset in the middle', { kind: 'reset_mid' }, /no whole answer|closed|broke|ended/],
    ['a short answer', { kind: 'truncate' }, /JSON|answer/],
    ['a web page', { kind: 'no_json' }, /web page/],
  ])('%s: it is said, nothing is stored', async (_name, fault, says) => {
    await server.faults([{ kind: 'status', ...fault, times: 99, match: { path: LISTS } }]);
    const error = await sync().then(
      () => null,
      (problem: unknown) => problem as ApiError,
    );
    expect(error?.message).toMatch(says);
    expect(`${error?.message} ${JSON.stringify(error)}`).not.toMatch(/test-key-4711|KEY-IN-HTML/);
    expect(await runs()).toBe(0);
  });

  it('and what is about single runs keeps none of the others out, and is mended later', async () => {
    await server.faults([
      { kind: 'bad_utf8', text: 'deploy', match: { path: '/action-runs/.' } },
      { kind: 'status', status: 500, html: true, times: 9, match: { path: '/action-runs/.' } },
    ]);
    expect(await sync()).toEqual({ outcome: 'done' });
    expect(await runs()).toBe(RUNS);
    await server.faults([]);
    await sync();
    const versions = { ...EVERYTHING, block_version: '2.1.0' };
    const { total } = await records.history.search({ filters: versions, include_excluded: false, order: 'newest', limit: 1, after: null }); // prettier-ignore
    expect(total).toBe(RUNS);
    expect((await records.check.verify({ from: null, known: [] })).findings).toEqual([]);
  });
});
