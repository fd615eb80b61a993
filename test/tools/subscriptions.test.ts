import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, ERAS, tempFolder, type Connection, type Era } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let runner: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const actions = [script('wait', 'echo started; sleep 300')];
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { db: { version: '1.0.0', actions } } }); // prettier-ignore
  runner = await connect({ home: home.path, env: localSettings(root.path) });
});
afterAll(async () => {
  await runner.close();
  await Promise.all([home.remove(), root.remove()]);
});

/** Resolves with the address of the first update. */
function firstUpdate({ client }: Connection): Promise<string> {
  return new Promise((resolve) => {
    if (client instanceof OldClient) {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => resolve(params.uri));
    } else client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri)); // prettier-ignore
  });
}

async function subscribe({ client }: Connection, era: Era, uri: string): Promise<void> {
  if (era === 'modern') await (client as any).listen({ resourceSubscriptions: [uri] });
  else await (client as any).subscribeResource({ uri });
}

describe.each(ERAS)('a subscription in the %s era', (era) => {
  it('tells of a run that another process changes', async () => {
    const { data } = await runner.call('run_action', { workspace: 'shop', block: 'db', action: 'wait', wait_seconds: 0 }); // prettier-ignore
    const run_id = data.run.id;
    const uri = `polycrate://runs/${run_id}`;
    const reader = await connect({ home: home.path, env: localSettings(root.path), era });
    const updated = firstUpdate(reader);
    await subscribe(reader, era, uri);
    await runner.call('cancel_action_run', { run_id });
    expect(await updated).toBe(uri);
    const { contents } = await reader.client.readResource({ uri });
    expect(JSON.parse((contents[0] as any).text).id).toBe(run_id);
    expect((await runner.call('wait_for_action_run', { run_id })).data.run.status).toBe('cancelled');
    await reader.close();
  });

  it('is what clients learn changes by: an open run may not be kept at all, a closed one for an hour', async () => {
    const { data } = await runner.call('run_action', { workspace: 'shop', block: 'db', action: 'wait', wait_seconds: 0 }); // prettier-ignore
    const run_id = data.run.id;
    const uris = [`polycrate://runs/${run_id}`, `polycrate://runs/${run_id}/log`];
    const reader = await connect({ home: home.path, env: localSettings(root.path), era });
    const hints = async (): Promise<unknown[]> => {
      const read = await Promise.all(uris.map((uri) => reader.client.readResource({ uri })));
      return read.map((one: any) => [one.ttlMs, one.cacheScope]);
    };
    const [none, open, closed] = [
      [undefined, undefined],
      [0, 'public'],
      [3_600_000, 'public'],
    ];
    expect(await hints()).toEqual(era === 'modern' ? [open, open] : [none, none]);
    await runner.call('cancel_action_run', { run_id });
    await runner.call('wait_for_action_run', { run_id });
    expect(await hints()).toEqual(era === 'modern' ? [closed, closed] : [none, none]);
    await reader.close();
  });
});

it.each(['polycrate://runs/00000000-0000-7000-8000-000000000000', 'polycrate://workspaces/acme/shop', 'file:///etc/passwd'])(
  '%s is nothing to subscribe to',
  async (uri) => {
    const reader = await connect({ home: home.path, env: localSettings(root.path), era: 'legacy' });
    await expect(subscribe(reader, 'legacy', uri)).rejects.toMatchObject({ code: -32602 });
    await reader.close();
  },
); // prettier-ignore
