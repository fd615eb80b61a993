import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { openGatedRegistry } from '../support/gated-registry.ts';
import { connect } from '../support/mcp.ts';
import { scriptWorkspace, trusted } from '../support/script-workspace.ts';
import { createHomes, NOTHING, settledTraces } from '../support/traces.ts';

// An image is built from the workspace and not from the private copy: what changed after the approval is refused.

const homes = createHomes();
afterAll(() => homes.removeAll());
const TARGET = { workspace: 'scripts', block: 'one', action: 'show' };

describeWithEngine('an image that was agreed to', () => {
  it.each([
    ['nothing', null, { status: 'success', launched: true, status_reason: null }],
    ['a file that it copies', 'tool.txt', refusal()],
    ['its Dockerfile', 'Dockerfile.poly', refusal()],
  ])('whose build waits while %s changes', async (_what, changed, ended) => {
    const [home, registry, workspace] = await Promise.all([homes.make('agreed-image'), openGatedRegistry(), scriptWorkspace({ one: { show: 'cat /context/tool.txt' } })]);
    const unique = randomUUID();
    await writeFile(join(workspace.path, 'tool.txt'), `agreed ${unique}\n`);
    await writeFile(join(workspace.path, 'Dockerfile.poly'), `FROM ${registry.image}\nCOPY . /context/\n`);
    const onAsk = () => ({ action: 'accept' as const, content: { approve: true } });
    const server = await connect({ home, env: { ...trusted(workspace), POLYCRATE_MCP_RUN_MODE: 'ask' }, onAsk });
    const planned = (await server.call('plan_action', TARGET)).data.plan.image;
    const { data } = await server.call('run_action', { ...TARGET, wait_seconds: 0 });
    const run_id: string = data.run.id;
    // The base is asked for, so the human has agreed and nothing is built yet.
    await registry.asked;
    if (changed) await writeFile(join(workspace.path, changed), `FROM ${registry.image}\nCOPY . /context/\n# other\n`);
    registry.open();
    await server.call('wait_for_action_run', { run_id, wait_seconds: 50 });
    const { run } = (await server.call('get_action_run', { run_id })).data;
    expect(run).toMatchObject(ended);
    const { lines } = (await server.call('read_action_run_log', { run_id })).data;
    if (changed === null) expect(lines.at(-1).text).toBe(`agreed ${unique}`);
    else expect(JSON.stringify(lines)).not.toContain('[build] built');
    const image = new Docker().getImage(planned.reference);
    expect(await image.inspect().then(() => true, () => false)).toBe(changed === null);
    if (changed === null) await image.remove({ force: true });
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
    await server.close();
    await Promise.all([workspace.remove(), registry.close()]);
  }); // prettier-ignore
});

function refusal(): Record<string, unknown> {
  return { status: 'failed', launched: false, status_reason: expect.stringMatching(/^not launched: Dockerfile\.poly or files that it copies changed after they were planned/) };
} // prettier-ignore
