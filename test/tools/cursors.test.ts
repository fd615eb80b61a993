import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const HOUR = 3_600_000;

/** Each tool that has cursors, with a question that has two pages, and the same tool's answer to another question. */
const TOOLS = [
  ['search_action_runs', {}, { block: 'db' }],
  ['search_action_runs', { order: 'longest' }, { order: 'oldest' }],
  ['summarize_action_runs', { group_by: 'block' }, { group_by: ['action', 'block'] }],
  ['search_trail', {}, { tool: 'get_status' }],
  ['list_workspaces', {}, { organization: 'acme' }],
  ['list_blocks', {}, { workspace: 'acme/shop' }],
] as const;

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const blocks = Object.fromEntries(
    ['db', 'web'].map((name) => [name, { version: '1.0.0', actions: [script('restart', 'true')] }]),
  );
  for (const name of ['shop', 'site'])
    await writeWorkspace(root.path, { name, organization: 'acme', blocks });
  await fillLedger(home.path, [
    { requested_at: Date.UTC(2026, 8, 1), block: 'db' },
    { requested_at: Date.UTC(2026, 8, 2), block: 'web' },
    { requested_at: Date.UTC(2026, 8, 3), block: 'db' },
  ]);
  server = await connect({ home: home.path, env: localSettings(root.path) });
  for (let n = 0; n < 3; n++) await server.call('get_status');
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

async function cursorOf(tool: string, args: object): Promise<string> {
  const { data } = await server.call(tool, { ...args, limit: 1 });
  expect(data).toMatchObject({ returned: 1, next_cursor: expect.any(String) });
  return data.next_cursor;
}

async function refusal(tool: string, args: object, cursor: string): Promise<any> {
  const { isError, error } = await server.call(tool, { ...args, limit: 1, cursor });
  expect(isError, `${tool} took the cursor ${cursor}`).toBe(true);
  expect(error).toMatchObject({
    code: 'invalid_argument',
    next: expect.stringContaining('without cursor'),
  });
  return error;
}

/** The cursor as it would have been made at another time, or with another position. */
function altered(cursor: string, change: (parts: unknown[]) => unknown[]): string {
  const parts = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
  return Buffer.from(JSON.stringify(change(parts))).toString('base64url');
}
const madeAt = (cursor: string, at: number): string =>
  altered(cursor, ([mark, position]) => [mark, position, at]);

describe.each(TOOLS)('a cursor of %s %j', (tool, args, other) => {
  it('goes on behind the first page, also after twenty-three hours', async () => {
    const cursor = await cursorOf(tool, args);
    for (const one of [cursor, madeAt(cursor, Date.now() - 23 * HOUR)]) {
      const { data, isError } = await server.call(tool, { ...args, limit: 1, cursor: one });
      expect(isError).toBe(false);
      expect(data.returned).toBe(1);
    }
  });

  it('is refused for another question, by another tool, and where it was not made', async () => {
    const cursor = await cursorOf(tool, args);
    expect((await refusal(tool, other, cursor)).message).toMatch(/not from an answer to the same question/);
    for (const [foreign, theirs] of TOOLS) if (foreign !== tool) await refusal(foreign, theirs, cursor);
  });

  it('is refused when it is forged', async () => {
    const cursor = await cursorOf(tool, args);
    const forged = [
      'forged', '', '[]', 'null', '\u0000', 'x'.repeat(1_900), cursor.slice(0, -9),
      altered(cursor, ([mark]) => [mark]),
      altered(cursor, ([mark, position]) => [mark, position]),
      altered(cursor, ([, position, at]) => ['0'.repeat(16), position, at]),
      ...[null, -1, 1.5, 1e300, 'x', {}, [], [1], ['a', 'b'], [null, null]].map((position) =>
        altered(cursor, ([mark, , at]) => [mark, position, at])),
    ]; // prettier-ignore
    for (const one of forged) await refusal(tool, args, one);
  });

  it('is refused when it has expired, saying so', async () => {
    const cursor = await cursorOf(tool, args);
    const old = await refusal(tool, args, madeAt(cursor, Date.now() - 25 * HOUR));
    expect(old.message).toMatch(/24 hours/);
    await refusal(tool, args, madeAt(cursor, Date.now() + HOUR));
  });
});
