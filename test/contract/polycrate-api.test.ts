import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPolycrateApi, type ApiOptions } from '../../src/adapters/polycrate-api/index.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import type { ApiError } from '../../src/platform/api-error.ts';
import type { PolycrateApi, StartReport } from '../../src/platform/polycrate-api.ts';
import { API_KEY, READ_KEY, startContractServer, type ContractServer } from '../contract-server/start.ts';
import { startProxy } from '../support/http-proxy.ts';

const NO_PROXIES = { http: null, https: null, none: null };
const RUN_ID = '01999999-0000-7000-8000-000000000001';
const AT = '2026-11-20T10:00:00.000Z';

function start(more: Partial<StartReport> = {}): StartReport {
  const block_labels = { polycrate_mcp_run: RUN_ID };
  return { organization: 'acme', workspace: 'shop', block: 'db', action: 'restart', started_at: AT, block_labels, ...more };
} // prettier-ignore

describe.each(['plain loopback', 'TLS'])('the client of the Polycrate API over %s', (way) => {
  let server: ContractServer;
  let open: PolycrateApi[] = [];
  const connected = (more: Partial<ApiOptions> = {}): PolycrateApi => {
    const api = createPolycrateApi({
      name: 'test', url: server.url, key: API_KEY, userAgent: 'polycrate-mcp/test', proxies: NO_PROXIES,
      ca: () => (server.caFile ? readFile(server.caFile, 'utf8') : Promise.resolve(null)),
      clock: systemClock, random: () => 0.1, ...more,
    }); // prettier-ignore
    open.push(api);
    return api;
  };
  /** The error that a call ends with. */
  const failure = async (call: Promise<unknown>): Promise<ApiError> => {
    const outcome = await call.then((value) => ({ value }), (error: unknown) => ({ error }));
    if ('value' in outcome) throw new Error(`no error, but ${JSON.stringify(outcome.value)}`);
    for (const text of [String((outcome.error as Error).message), JSON.stringify(outcome.error)]) {
      expect(text).not.toContain(API_KEY);
      expect(text).not.toContain('KEY-IN-HTML');
    }
    return outcome.error as ApiError;
  }; // prettier-ignore

  beforeAll(async () => {
    server = await startContractServer({ tls: way === 'TLS' });
    await server.seed('acme', { shop: ['db', 'ayedo/k8s/harbor'], blog: ['db'] });
    await server.seed('globex', { shop: ['db'] });
  });
  beforeEach(async () => {
    await server.faults([]);
    await server.settings({ skew_ms: 0, one_shot_only: false, max_page_size: 100, second_finish: 200 });
    await server.requests();
  });
  afterEach(async () => {
    await Promise.all(open.map((api) => api.close()));
    open = [];
    expect(await server.violations()).toEqual([]);
  });
  afterAll(() => server.stop());

  it('starts, finishes and reads back a run', async () => {
    const api = connected();
    const answer = await api.start(start({ block_version: '1.4.3' }));
    expect(answer).toMatchObject({
      outcome: 'started',
      record: { url: expect.stringContaining('https://') },
    });
    const { id } = answer.record;
    const again = await api.start(start());
    expect(again).toMatchObject({ outcome: 'conflict', record: { id } });
    const metadata = { polycrate_mcp: { run_id: RUN_ID } };
    await api.finish(id, { exit_code: 3, finished_at: AT, stdout: 'out', metadata });
    const run = await api.run(id);
    expect(run).toMatchObject({
      id, status: 'failed', exit_code: 3, action: 'restart', block_version: '1.4.3', metadata,
      block_labels: { polycrate_mcp_run: RUN_ID }, started_at: Date.parse(AT), user: { username: 'robot' },
      organization: { name: 'acme' }, workspace: { name: 'shop' }, block: { name: 'db' },
    }); // prettier-ignore
    expect(await api.log(id)).toEqual({ stdout: 'out', stderr: null });
    const { items } = await api.activities({ object_id: id });
    expect(items.map(({ kind }) => kind)).toEqual(['block_action_run_finish', 'block_action_run_start']);
    expect(await api.activity(items[0]!.id)).toEqual(items[0]);
  });

  it('reports a run that is over at once, without empty output', async () => {
    const api = connected();
    const { id } = await api.report({
      organization: 'acme', workspace: 'blog', block: 'db', action: 'restart', exit_code: 0, started_at: AT, finished_at: AT, metadata: {},
    }); // prettier-ignore
    expect(await api.run(id)).toMatchObject({ status: 'success', exit_code: 0 });
  });

  it('lets nothing in that it does not know', async () => {
    const api = connected();
    const [workspaces, blocks, organizations] = await Promise.all([
      api.workspaces({ name: 'shop' }), api.blocks({ name: 'db' }), api.organizations({}),
    ]); // prettier-ignore
    const details = await Promise.all([
      ...workspaces.items.map(({ id }) => api.workspace(id)),
      ...blocks.items.map(({ id }) => api.block(id)),
      ...organizations.items.map(({ id }) => api.organization(id)),
    ]);
    const text = JSON.stringify([workspaces, blocks, organizations, details]);
    expect(text).not.toMatch(/SECRET|support_pin|credential|raw/);
    expect(details).toHaveLength(7);
  });

  it('pages through a list, also where pages repeat or move', async () => {
    const runs = Array.from({ length: 23 }, (_, n) => ({
      organization: 'acme', workspace: 'shop', block: 'ayedo/k8s/harbor', action: 'page', status: 'success', exit_code: 0,
      started_at: new Date(Date.parse(AT) + n * 1000).toISOString(),
    })); // prettier-ignore
    await server.addRuns(runs);
    const api = connected();
    const seen: string[] = [];
    for (let page = 1, more = true; more; page++) {
      const found = await api.runs({ action: 'page', page, page_size: 10 });
      expect(found.count).toBe(23);
      seen.push(...found.items.map(({ id }) => id));
      more = found.more;
    }
    expect(new Set(seen).size).toBe(23);
    await server.faults([{ kind: 'duplicate_page', match: { path: 'action-runs/$' } }]);
    const twice = await api.runs({ action: 'page', page: 2, page_size: 10 });
    expect(twice.items.map(({ id }) => id)).toEqual(seen.slice(0, 10));
    expect((await failure(api.runs({ action: 'page', page: 9, page_size: 10 }))).fault).toBe('not_found');
  });

  it('queues a rollout item and follows it', async () => {
    const api = connected();
    const { block } = await api.find({ organization: 'acme', workspace: 'blog', block: 'db' });
    const item = await api.createRolloutItem({ block, action: 'restart', reason: 'why' });
    expect(item).toMatchObject({ block, action: 'restart', status: 'pending', action_run: null });
    expect(await api.rolloutItem(item.id)).toMatchObject({ status: 'skipped' });
    expect((await api.rolloutItems({ block })).items).toMatchObject([{ id: item.id, status: 'skipped' }]);
  });

  describe('names', () => {
    it('are found, remembered, and told apart by their organization', async () => {
      const api = connected();
      const acme = await api.find({ organization: 'acme', workspace: 'shop', block: 'db' });
      const globex = await api.find({ organization: 'globex', workspace: 'shop', block: 'db' });
      expect(acme.block).not.toBe(globex.block);
      await server.requests();
      expect(await api.find({ organization: 'acme', workspace: 'shop', block: 'db' })).toEqual(acme);
      expect(await server.requests()).toEqual([]);
    });

    it('that nothing has, or several things, are refused', async () => {
      const api = connected();
      const error = await failure(api.find({ organization: 'acme', workspace: 'shop', block: 'dbb' }));
      expect(error).toMatchObject({
        code: 'unknown_name',
        message: expect.stringContaining('block dbb in acme/shop'),
      });
      expect((await failure(api.find({ organization: 'acme', workspace: 'shopp', block: 'db' }))).code).toBe(
        'unknown_name',
      );
      await server.seed('initech', { twin: ['db'] });
      await server.settings({ blind: true });
      const several = await failure(api.find({ organization: 'initech', workspace: 'shop', block: 'db' }));
      await server.settings({ blind: false });
      expect(several.message).toContain('2 objects that are called workspace initech/shop');
      expect(several.valid).toHaveLength(2);
    });
  });

  describe('refusals and faults', () => {
    const answers: [string, Record<string, unknown>, Partial<ApiError>][] = [
      ['401', { status: 401, code: 'not_authenticated' }, { fault: 'credentials', code: 'api_refused', passing: false, unsure: false }],
      ['403', { status: 403, code: 'permission_denied' }, { fault: 'forbidden', code: 'api_refused', passing: false }],
      ['404', { status: 404, code: 'not_found' }, { fault: 'not_found', code: 'unknown_name', passing: false }],
      ['409 in the common shape', { status: 409, code: 'conflict' }, { fault: 'conflict', passing: false, unsure: false }],
      ['410', { status: 410, code: 'gone' }, { fault: 'not_found', passing: false }],
      ['415', { status: 415, code: 'unsupported_media_type' }, { fault: 'invalid', passing: false }],
      ['429 with Retry-After', { status: 429, code: 'throttled', headers: { 'retry-after': '7' } }, { fault: 'busy', retry_after_ms: 7_000, passing: true, unsure: false }],
      ['429 without', { status: 429, code: 'throttled' }, { fault: 'busy', retry_after_ms: null, passing: true }],
      ['500 as a web page', { status: 500, html: true }, { fault: 'broken', code: 'api_unavailable', passing: true, unsure: true }],
      ['502 of a provider', { status: 502, code: 'provider_bad_gateway' }, { fault: 'broken', unsure: true }],
      ['503', { status: 503, html: true }, { fault: 'busy', unsure: false }],
    ]; // prettier-ignore
    it.each(answers)('%s', async (_name, rule, expected) => {
      await server.faults([{ kind: 'status', ...rule, match: { method: 'POST' } }]);
      const error = await failure(connected().start(start({ block: 'ayedo/k8s/harbor' })));
      expect(error).toMatchObject(expected);
      expect(error.status).toBe(rule['status']);
      expect((await server.requests()).length).toBe(1);
    });

    it('tells a field that is wrong, an unknown block, and a key that can only read', async () => {
      await server.faults([{ kind: 'status', status: 400, code: 'invalid', attr: 'exit_code', detail: 'A valid integer is required.', match: { method: 'POST' } }]);
      const wrong = await failure(connected().finish(RUN_ID, { exit_code: 0, finished_at: AT, metadata: {} }));
      expect(wrong).toMatchObject({ fault: 'invalid', message: expect.stringContaining('exit_code: A valid integer is required.') });
      const unknown = await failure(connected().report({ ...start({ block: 'nope' }), exit_code: 0, finished_at: AT, metadata: {}, block_labels: undefined } as never));
      expect(unknown).toMatchObject({ fault: 'not_found', message: expect.stringContaining('block not found') });
      expect(await failure(connected({ key: READ_KEY }).start(start()))).toMatchObject({ fault: 'forbidden', next: expect.stringContaining('read_write') });
      expect(await failure(connected({ key: 'other' }).runs({}))).toMatchObject({ fault: 'credentials', next: expect.stringContaining('POLYCRATE_API_API_KEY') });
    }); // prettier-ignore

    it.each(['reset', 'reset_mid', 'truncate', 'no_json'])('%s: reading is repeated, writing is not', async (kind) => {
      const { items } = await connected().runs({ action: 'restart', page_size: 1 });
      await server.faults([{ kind }, { kind }]);
      expect(await connected().run(items[0]!.id)).toMatchObject({ id: items[0]!.id });
      await server.requests();
      await server.faults([{ kind, match: { method: 'POST' } }]);
      expect(await failure(connected().finish(items[0]!.id, { exit_code: 0, finished_at: AT, metadata: {} }))).toMatchObject({ unsure: true, passing: true });
      expect(await server.requests()).toHaveLength(1);
      await server.faults([{ kind, times: 9 }]);
      expect((await failure(connected().run(items[0]!.id))).code).toBe('api_unavailable');
      expect((await server.requests()).length).toBe(3);
    }); // prettier-ignore

    it('a reply that was lost after the record was made is not taken for a refusal', async () => {
      await server.faults([{ kind: 'lost_reply', match: { method: 'POST' } }]);
      const error = await failure(
        connected().start(start({ workspace: 'blog', block_labels: { lost: 'yes' } })),
      );
      expect(error).toMatchObject({ fault: 'unclear', unsure: true });
      expect((await server.runs()).filter(({ block_labels }) => block_labels?.includes('lost'))).toHaveLength(
        1,
      );
    });

    it.each([['slow', { ms: 20 }], ['hang', {}], ['delay', { ms: 5_000 }]])('%s ends at the time limit of the call', async (kind, more) => {
      await server.faults([{ kind, ...more, times: 9 }]);
      const began = performance.now();
      const error = await failure(connected().runs({}, { within_ms: 400 }));
      expect(error).toMatchObject({ fault: 'unclear', message: expect.stringContaining('did not answer in time') });
      expect(performance.now() - began).toBeLessThan(3_000);
    }); // prettier-ignore

    it('a log beyond all measure is refused, a long one is read', async () => {
      const { items } = await connected().runs({ action: 'restart', page_size: 1 });
      const id = items[0]!.id;
      await server.faults([{ kind: 'huge', bytes: 50_000_000 }]);
      expect((await connected().log(id)).stdout).toHaveLength(50_000_000);
      await server.faults([{ kind: 'huge', bytes: 90_000_000 }]);
      expect((await failure(connected().log(id))).message).toContain('larger than 80 MiB');
    });

    it('bytes that are no UTF-8 become visible, the rest stays readable', async () => {
      const { items } = await connected().runs({ action: 'restart', page_size: 1 });
      await server.faults([{ kind: 'bad_utf8', text: 'restart' }]);
      const run = await connected().run(items[0]!.id);
      expect(run.action).toMatch(/\ufffd/);
      expect(run.block?.name).toBe('db');
    });

    it('a redirect is not followed, for the key would go along', async () => {
      await server.faults([{ kind: 'redirect', times: 9 }]);
      expect(await failure(connected().runs({}))).toMatchObject({
        fault: 'strange',
        next: expect.stringContaining('root of the instance'),
      });
    });

    it('waits as long as it is asked to, and tells how far the clocks are apart', async () => {
      await server.settings({ skew_ms: -90_000 });
      await server.faults([
        { kind: 'status', status: 429, code: 'throttled', headers: { 'retry-after': '1' } },
      ]);
      const api = connected();
      const began = performance.now();
      await api.runs({});
      expect(performance.now() - began).toBeGreaterThan(950);
      expect(Math.abs(api.skew_ms() + 90_000)).toBeLessThan(3_000);
    });

    it('an id from outside never becomes another path', async () => {
      for (const id of ['../organizations', 'a/b', '', '%2e%2e', 'x?y=1'])
        expect((await failure(connected().run(id))).fault).toBe('not_found');
      expect(await server.requests()).toEqual([]);
    });
  });

  describe('the way there', () => {
    it('says why nothing can be reached', async () => {
      const unknown = await failure(connected({ url: 'http://127.0.0.1:1' }).runs({}, { within_ms: 2_000 }));
      expect(unknown).toMatchObject({
        fault: 'unreachable',
        message: expect.stringContaining('nothing listens there'),
      });
      const other = server.url.startsWith('https')
        ? server.url.replace('https', 'http')
        : server.url.replace('http', 'https');
      const wrong = await failure(connected({ url: other }).runs({}, { within_ms: 2_000 }));
      expect(wrong.code).toBe('api_unavailable');
      if (way !== 'TLS') expect(wrong.message).toContain('does not speak TLS');
    });

    if (way === 'TLS')
      it('needs the authority of a certificate that nobody knows', async () => {
        const error = await failure(connected({ ca: async () => null }).start(start()));
        expect(error).toMatchObject({
          fault: 'unreachable',
          unsure: false,
          next: expect.stringContaining('POLYCRATE_MCP_CA_FILE'),
        });
      });

    it('goes through a proxy, except to the hosts that are named', async () => {
      const proxy = await startProxy();
      const at = `http://127.0.0.1:${proxy.port}`;
      await connected({ proxies: { http: at, https: at, none: null } }).runs({});
      expect(proxy.seen.length).toBe(1);
      await connected({ proxies: { http: at, https: at, none: '127.0.0.1' } }).runs({});
      expect(proxy.seen.length).toBe(1);
      await proxy.stop();
    });

    it('keeps its connections', async () => {
      const api = connected();
      for (let n = 0; n < 12; n++) await api.runs({ page_size: 1 });
      const asked = await server.requests();
      expect(asked).toHaveLength(12);
      // The library has several, and takes whichever is free.
      expect(new Set(asked.map(({ port }) => port)).size).toBeLessThanOrEqual(4);
    });
  });
});
