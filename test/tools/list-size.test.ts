import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, writeWorkspace } from '../support/workspaces.ts';

/** Names as long as a file system takes them, and descriptions that say too much. */
const LONG = 'n'.repeat(150);
const WORKSPACES = 40;
const BLOCKS = 3;

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const actions = Array.from({ length: 25 }, (_, n) => ({
    name: `a${n}-${LONG}`,
    description: 'd'.repeat(1_000),
    script: ['true'],
  }));
  const names = Array.from({ length: BLOCKS }, (_, n) => `b${n}-${LONG}`);
  const blocks = Object.fromEntries(names.map((name) => [name, { version: '1.0.0', kind: LONG, actions }]));
  const workflows = Array.from({ length: 40 }, (_, n) => ({
    name: `f${n}-${LONG}`,
    steps: [{ name: 'one', block: names[0], action: actions[0]!.name }],
  }));
  for (let n = 0; n < WORKSPACES; n++) {
    const rest = { labels: { environment: `e-${LONG}` }, workflows };
    await writeWorkspace(root.path, { name: `w${n}-${LONG}`, organization: `o-${LONG}`, rest, blocks });
  }
  server = await connect({ home: home.path, env: localSettings(root.path) });
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

it.each([
  ['list_workspaces', 'workspaces', WORKSPACES],
  ['list_blocks', 'blocks', WORKSPACES * BLOCKS],
] as const)('%s is as small however long names are, and comes whole with the cursor', async (tool, list, count) => {
  for (const [limit, most] of [[20, 6_000], [100, 20_000]] as const) {
    const seen = new Set<string>();
    let cursor: string | undefined;
    do {
      const { data, error, characters } = await server.call(tool, { limit, cursor });
      expect(error).toBeNull();
      expect(characters / 4).toBeLessThan(most);
      expect(data.total).toBe(count);
      for (const { name, workspace } of data[list]) seen.add(`${workspace} ${name}`);
      cursor = data.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen.size).toBe(count);
  }
}); // prettier-ignore
