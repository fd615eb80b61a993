import { afterAll, beforeAll, expect, it } from 'vitest';
import { fillLedger, type Past } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';

/** Runs whose names are as long as names can be. */
const LONG = 'n'.repeat(180);
const RUNS: Past[] = Array.from({ length: 100 }, (_, n) => ({
  organization: `o${n % 9}-${LONG}`,
  workspace: `w${n}-${LONG}`,
  environment: `e-${LONG}`,
  block: `b${n}-${LONG}`,
  block_version: `1.${n}.0-${'v'.repeat(80)}`,
  action: `a-${LONG}`,
  hostname: `h-${LONG}`,
  display: `p${n}-${LONG}`,
  reason: 'r'.repeat(2_000),
  requested_at: Date.UTC(2026, 8, 1) + n * 60_000,
}));

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  home = await tempFolder('home');
  await fillLedger(home.path, RUNS);
  server = await connect({ home: home.path });
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

it('however long names are, a default page is below 6,000 tokens and the largest below 20,000', async () => {
  for (const [limit, most] of [
    [undefined, 6_000],
    [100, 20_000],
  ] as const) {
    // prettier-ignore
    const { data, characters } = await server.call('search_action_runs', { limit });
    expect(data.total).toBe(100);
    expect(characters / 4).toBeLessThan(most);
    expect(data.returned < 100).toBe(data.next_cursor !== null);
  }
});

it('what does not fit comes with the cursor, each run once', async () => {
  const ids = new Set<string>();
  let cursor: string | undefined;
  do {
    const { data } = await server.call('search_action_runs', { limit: 100, cursor });
    expect(data.runs.length).toBe(data.returned);
    for (const { id } of data.runs) ids.add(id);
    cursor = data.next_cursor ?? undefined;
  } while (cursor !== undefined);
  expect(ids.size).toBe(100);
});

it('groups with names of any length are as small, and come whole with the cursor', async () => {
  const group_by = ['workspace', 'environment', 'block', 'action', 'user', 'host'];
  for (const [limit, most] of [[20, 6_000], [100, 20_000]] as const) {
    const keys = new Set<string>();
    let cursor: string | undefined;
    do {
      const { data, characters } = await server.call('summarize_action_runs', { group_by, limit, cursor });
      expect(characters / 4).toBeLessThan(most);
      expect(data.total_groups).toBe(100);
      for (const { key } of data.groups) keys.add(JSON.stringify(key));
      cursor = data.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(keys.size).toBe(100);
  }
}); // prettier-ignore

it('versions and changes with names of any length are as small, and come whole with the cursor', async () => {
  const at = new Date(Date.UTC(2026, 8, 1) + 50 * 60_000).toISOString();
  for (const [tool, list, args] of [['trace_versions', 'timeline', {}], ['find_changes', 'changes', { at, after: '2h' }]] as const) {
    for (const [limit, most] of [[20, 6_000], [100, 20_000]] as const) {
      const seen = new Set<string>();
      let cursor: string | undefined;
      do {
        const { data, error, characters } = await server.call(tool, { ...args, limit, cursor });
        expect(error).toBeNull();
        expect(characters / 4, tool).toBeLessThan(most);
        expect(data.total).toBe(100);
        for (const { workspace, block } of data[list]) seen.add(`${workspace} ${block}`);
        cursor = data.next_cursor ?? undefined;
      } while (cursor !== undefined);
      expect(seen.size, tool).toBe(100);
    }
  }
}); // prettier-ignore

it('calls with long arguments are as small, and come whole with the cursor', async () => {
  const refused = { block: Array.from({ length: 40 }, (_, n) => `${n}${LONG}`) };
  for (let n = 0; n < 30; n++) await server.call('search_action_runs', refused);
  const until = new Date().toISOString();
  for (const [limit, most] of [[20, 6_000], [100, 20_000]] as const) {
    const ids = new Set<string>();
    let [cursor, total]: [string | undefined, number] = [undefined, 0];
    do {
      const { data, characters } = await server.call('search_trail', { limit, cursor, until });
      expect(characters / 4).toBeLessThan(most);
      total = data.total;
      for (const { id } of data.calls) ids.add(id);
      cursor = data.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(ids.size).toBe(total);
    expect(total).toBeGreaterThan(30);
  }
}); // prettier-ignore

it.each([{ limit: 0 }, { limit: 1_000_000 }, { limit: 2.5 }, { since: '1066-10-14' }, { during: '9999-01-01' }, { since: 'yesterday', until: '2020-01-01' }])(
  '%j is refused with what is valid',
  async (args) => {
    const { error } = await server.call('search_action_runs', args);
    expect(error).toMatchObject({ code: 'invalid_argument', next: expect.any(String) });
  },
); // prettier-ignore
