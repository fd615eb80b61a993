import { afterAll, beforeAll, expect, it } from 'vitest';
import { fillLedger, mintId, type Past } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';

const AT = Date.UTC(2026, 8, 1);
const digest = (letter: string): string => letter.repeat(64);
const PINS = { block: digest('a'), config: digest('b'), inventory: digest('c'), image: null };
const KEYS = { port: digest('d'), size: digest('e') };

/** What both runs are, unless a case says otherwise. */
const SAME: Omit<Past, 'requested_at'> = {
  block: 'db', block_version: '1.4.2', app_version: '15', exit_code: 0, duration_ms: 4_000, workspace_commit: 'aaaa',
  image_digest: 'sha256:1', environment: 'staging', hostname: 'ci-1', os_user: 'deploy',
  pins: { ...PINS, config_keys: KEYS },
}; // prettier-ignore

/** For each field: what the later run has instead, and the differences that are told. */
const CASES: [string, Partial<Past>, Record<string, [unknown, unknown]>][] = [
  ['nothing', {}, {}],
  ['version', { block_version: '1.4.3' }, { block_version: ['1.4.2', '1.4.3'] }],
  ['app version', { app_version: '16' }, { app_version: ['15', '16'] }],
  ['a key of the configuration', { pins: { ...PINS, config_keys: { ...KEYS, port: digest('f') } } },
    { 'config.port': ['digest dddddddddddd', 'digest ffffffffffff'] }],
  ['a key that is new and one that is gone', { pins: { ...PINS, config_keys: { port: KEYS.port, host: digest('f') } } },
    { 'config.host': [null, 'digest ffffffffffff'], 'config.size': ['digest eeeeeeeeeeee', null] }],
  ['inventory', { pins: { ...PINS, inventory: digest('9'), config_keys: KEYS } }, { 'pins.inventory': [digest('c'), digest('9')] }],
  ['files of the block', { pins: { ...PINS, block: digest('8'), config_keys: KEYS } }, { 'pins.block': [digest('a'), digest('8')] }],
  ['image', { image_digest: 'sha256:2' }, { 'executor.image_digest': ['sha256:1', 'sha256:2'] }],
  ['commit', { workspace_commit: 'bbbb' }, { workspace_commit: ['aaaa', 'bbbb'] }],
  ['duration', { duration_ms: 9_000 }, { duration_ms: [4_000, 9_000] }],
  ['end', { status: 'failed', exit_code: 2, status_reason: 'exit code 2' },
    { status: ['success', 'failed'], exit_code: [0, 2], status_reason: [null, 'exit code 2'] }],
  ['environment', { environment: 'production' }, { environment: ['staging', 'production'] }],
  ['who and where', { os_user: 'root', hostname: 'laptop' }, { os_user: ['deploy', 'root'], hostname: ['ci-1', 'laptop'] }],
  ['no pins', { pins: null }, {
    'pins.block': [digest('a'), null], 'pins.inventory': [digest('c'), null],
    'config.port': ['digest dddddddddddd', null], 'config.size': ['digest eeeeeeeeeeee', null] }],
]; // prettier-ignore

const many = (letter: string): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: 500 }, (_, n) => [`${'k'.repeat(150)}${1_000 + n}`, digest(letter)]),
  );
const [BEFORE, MANY, OTHER_MANY] = [mintId(), mintId(), mintId()];
const ids = CASES.map(() => mintId());
let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  home = await tempFolder('home');
  await fillLedger(home.path, [
    { ...SAME, id: BEFORE, requested_at: AT },
    ...CASES.map(([, change], n): Past => ({
      ...SAME,
      ...change,
      id: ids[n]!,
      requested_at: AT + n * 60_000,
    })),
    {
      ...SAME,
      id: MANY,
      requested_at: AT,
      pins: { ...PINS, config_keys: many('1') },
      reason: 'r'.repeat(2_000),
    },
    { ...SAME, id: OTHER_MANY, requested_at: AT, pins: { ...PINS, config_keys: many('2') } },
  ]);
  server = await connect({ home: home.path });
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

it.each(CASES.map(([name, , told], n) => [name, told, ids[n]!] as const))(
  'tells that %s differs, and nothing else',
  async (_, told, run_id) => {
    const { data } = await server.call('get_action_run', { run_id, compare_to: BEFORE });
    expect(data.compared_to).toBe(BEFORE);
    const found = data.differences.map(({ field, before, after }: any) => [field, [before, after]]);
    expect(Object.fromEntries(found)).toEqual(told);
    expect(found).toHaveLength(Object.keys(told).length);
  },
);

it('a record and a comparison with very many keys stay small, and come whole with the cursor', async () => {
  const [keys, fields] = [new Set<string>(), new Set<string>()];
  let cursor: string | undefined;
  do {
    const { data, characters } = await server.call('get_action_run', { run_id: OTHER_MANY, compare_to: MANY, cursor });
    expect(characters / 4).toBeLessThan(6_000);
    for (const key of Object.keys(data.run.pins.config_keys)) keys.add(key);
    for (const { field } of data.differences) if (field.startsWith('config.')) fields.add(field);
    const left = { config_keys: 500 - keys.size, differences: 500 - fields.size };
    expect(data.left_out ?? {}).toEqual(Object.fromEntries(Object.entries(left).filter(([, count]) => count > 0)));
    cursor = data.next_cursor;
  } while (cursor !== undefined);
  expect([keys.size, fields.size]).toEqual([500, 500]);
}); // prettier-ignore
