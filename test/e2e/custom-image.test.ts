import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { connect, type Connection } from '../support/mcp.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { createHomes, kill9, NOTHING, settledTraces, until } from '../support/traces.ts';

// Images that a workspace builds from its Dockerfile.poly: with a real engine, through the front door.

const docker = new Docker();
const homes = createHomes();
afterAll(() => homes.removeAll());

const TEST_LABEL = 'polycrate-mcp-test.custom';

/** In each Dockerfile, so that no test finds the layers of another one or of yesterday. */
const fresh = (): string => `LABEL ${TEST_LABEL}=${randomUUID()}`;

describeWithEngine('the image of a workspace', () => {
  let workspace: ScriptWorkspace;
  let home: string;
  let server: Connection;
  const built = new Set<string>();

  beforeAll(async () => {
    const show = 'cat /made 2>/dev/null || echo nothing made; ls -a /context 2>/dev/null || true';
    workspace = await scriptWorkspace({ one: { show }, two: { show } });
  });
  beforeEach(async () => {
    home = await homes.make('custom');
    server = await connect({ home, env: trusted(workspace) });
  });
  afterEach(async () => {
    await server.close();
    for (const reference of built)
      await docker
        .getImage(reference)
        .remove({ force: true })
        .catch(() => undefined);
    built.clear();
  });
  afterAll(async () => {
    await workspace.remove();
    // Layers of builds that did not come to their end: the engine's cache, which nobody will ask for again.
    const filters = { dangling: ['true'], label: [TEST_LABEL] };
    for (const { Id } of await docker.listImages({ filters })) {
      await docker
        .getImage(Id)
        .remove()
        .catch(() => undefined);
    }
  });

  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(workspace.path, file)), { recursive: true });
    await writeFile(join(workspace.path, file), text);
  };
  const dockerfile = (...lines: string[]): Promise<void> =>
    write('Dockerfile.poly', `FROM ${TEST_IMAGE}\n${[fresh(), ...lines].join('\n')}\n`);
  const ask = async (name: string, args: Record<string, unknown>): Promise<any> => {
    const { isError, error, data } = await server.call(name, args);
    if (isError) throw new Error(JSON.stringify(error));
    return data;
  };
  const target = (block = 'one') => ({ workspace: 'scripts', block, action: 'show' });
  const plan = async (): Promise<any> => {
    const { plan: made } = await ask('plan_action', target());
    if (made.image) built.add(made.image.reference);
    return made;
  };
  const run = async (more = {}): Promise<any> => {
    await plan();
    return ask('run_action', { ...target(), wait_seconds: 50, ...more });
  };
  const record = async (run_id: string): Promise<any> => (await ask('get_action_run', { run_id })).run;
  const log = async (run_id: string): Promise<string[]> => {
    const { lines } = await ask('read_action_run_log', { run_id, lines: 500, mode: 'head' });
    return lines.map(({ text }: { text: string }) => text);
  };
  const told = (lines: readonly string[]): string =>
    lines.filter((line) => line.startsWith('[build] ')).join('\n');

  it('is built before the action, in its log, and not again as long as nothing changed', async () => {
    await dockerfile('RUN echo made-by-the-build > /made && echo said-by-the-build');
    const before = await plan();
    expect(before.image).toMatchObject({
      digest: null,
      chosen_by: 'Dockerfile.poly',
      build: {
        dockerfile: 'Dockerfile.poly',
        cached: false,
        context: null,
        bases: [{ reference: TEST_IMAGE }],
      },
    });
    expect(before.warnings.join('\n')).toContain('is built before the action starts');

    const first = await run({ plan_digest: before.digest });
    expect(first).toMatchObject({ succeeded: true });
    const lines = await log(first.run.id);
    expect(told(lines)).toMatch(/building Dockerfile\.poly[^]*said-by-the-build[^]*built sha256:/);
    expect(lines.at(-1)).toBe('made-by-the-build');

    const after = await plan();
    expect(after.image.build.cached).toBe(true);
    expect(after.digest).toBe(before.digest);
    const full = await record(first.run.id);
    expect(full.executor).toMatchObject({ image: before.image.reference, image_digest: after.image.digest });
    expect((await docker.getImage(before.image.reference).inspect()).Id).toBe(after.image.digest);

    const second = await run();
    expect(await log(second.run.id)).toEqual(['made-by-the-build']);
    // What it is made of counts: the block may change, its Dockerfile may not.
    await dockerfile('RUN echo made-again > /made');
    const third = await run();
    expect((await log(third.run.id)).at(-1)).toBe('made-again');
  });

  it('sees of the workspace what it copies, and no secrets', async () => {
    await dockerfile('COPY . /context/', 'RUN find /context -type f -o -type l | sort');
    await write('tool/run.sh', '#!/bin/sh\n');
    await write('notes.txt', 'plain');
    await write('ignored.txt', 'x');
    const secret = [
      'secrets.poly',
      'secrets.poly.age',
      'artifacts/secrets/token',
      'artifacts/blocks/one/kubeconfig.yml',
      '.git/config',
      '.logs/2026/x.yml',
      'id_rsa',
      'deep/id_ed25519',
      'deep/server.pem',
      'inventory.yml',
      'group_vars/all.yml',
      '.env',
      'blocks/one/kubeconfig.yml',
    ];
    for (const file of secret) await write(file, file === 'secrets.poly' ? '{"blocks":[]}' : 'canary');
    // It may take away, and cannot bring back.
    await write('.dockerignore', 'ignored.txt\n!id_rsa\n!**/secrets.poly\n');
    const done = await run();
    expect(done.succeeded).toBe(true);
    const lines = told(await log(done.run.id));
    const found = [...lines.matchAll(/\[build\] (\/context\/\S+)/g)].map((match) => match[1]);
    expect(found).toEqual(['/context/Dockerfile.poly', '/context/notes.txt', '/context/tool/run.sh']);
    const { image } = await plan();
    expect(image.build.context).toMatchObject({ files: 2 });
    // A file of the context that changes makes another image.
    await write('notes.txt', 'other');
    expect((await plan()).image).toMatchObject({ digest: null, build: { cached: false } });
  });

  it('that cannot be built is a failed run that was not launched, with the log of the build', async () => {
    await dockerfile('RUN echo before-it-broke && exit 9');
    const done = await run();
    expect(done).toMatchObject({ succeeded: false, launched: false });
    expect(done.run).toMatchObject({ status: 'failed', exit_code: null, started_at: null });
    expect(done.run.status_reason).toMatch(
      /^not launched: The image of Dockerfile\.poly could not be built: .*9/,
    );
    expect(told(await log(done.run.id))).toContain('before-it-broke');
    expect((await record(done.run.id)).log.lines).toBeGreaterThan(2);
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
  });

  it('shows no secret of the workspace in the log of its build', async () => {
    const config = { password: 'correct-horse-battery' };
    await write('secrets.poly', JSON.stringify({ blocks: [{ name: 'one', config }] }));
    await dockerfile('RUN echo said correct-horse-battery && exit 5');
    const done = await run();
    await write('secrets.poly', JSON.stringify({ blocks: [] }));
    expect(done.launched).toBe(false);
    const lines = told(await log(done.run.id));
    expect(lines).toMatch(/said \S/);
    expect(lines + JSON.stringify(await record(done.run.id))).not.toContain('correct-horse');
    expect((await record(done.run.id)).log.redactions.count).toBeGreaterThan(0);
  });

  it('is built once for two runs at the same time', async () => {
    const counter = randomUUID();
    await dockerfile(`RUN echo ran-${counter} && sleep 2 && date +%N > /made`);
    await plan();
    const both = await Promise.all(
      ['one', 'two'].map((block) => ask('run_action', { ...target(block), wait_seconds: 50 })),
    );
    const logs = await Promise.all(both.map(({ run: { id } }) => log(id)));
    expect(both.map(({ succeeded }) => succeeded)).toEqual([true, true]);
    expect(logs[0]!.at(-1)).toBe(logs[1]!.at(-1));
    const shared = logs.filter((lines) => told(lines).includes('under way for another run'));
    expect(shared).toHaveLength(1);
  });

  it.each([
    ['FROM evil.example/image:1\n', 'image:not-allowed', 'evil.example/image:1'],
    [`FROM ${TEST_IMAGE}\nCOPY --from=evil.example/x:1 / /\n`, 'image:not-allowed', 'evil.example/x:1'],
    [`ARG X=evil.example/y:1\nFROM $X\n`, 'image:not-allowed', 'evil.example/y:1'],
    [`FROM ${TEST_IMAGE}\nRUN <<EOF\nFROM evil\nEOF\n`, 'definition:dockerfile', 'here-document'],
    ['RUN true\n', 'definition:dockerfile', 'names no base image'],
  ])('is refused as %j', async (text, rule, words) => {
    await write('Dockerfile.poly', text);
    const { policy } = await plan();
    expect(policy).toMatchObject({ decision: 'deny', rule });
    expect(policy.why).toContain(words);
    if (rule === 'image:not-allowed') expect(policy.remedy).toContain('POLYCRATE_MCP_ALLOWED_IMAGES');
    const { error } = await server.call('run_action', target());
    expect(error).toMatchObject({ code: 'refused' });
    expect((await ask('search_action_runs', { include_excluded: true })).total).toBe(0);
  });

  const SLOW = 'RUN echo in-the-middle && exec sleep 300';

  it('stops being built when the run is cancelled, and leaves nothing', async () => {
    await dockerfile(SLOW);
    const running = await sleepers();
    const { run: open } = await run({ wait_seconds: 0 });
    await until('the build', async () =>
      told(await log(open.id).catch(() => [])).includes('[build] in-the-middle'),
    );
    await ask('cancel_action_run', { run_id: open.id, reason: 'enough' });
    const { run: done } = await ask('wait_for_action_run', { run_id: open.id, wait_seconds: 50 });
    expect(done).toMatchObject({ status: 'cancelled', exit_code: null, started_at: null });
    expect(told(await log(open.id))).toContain('in-the-middle');
    await until('no container of the build', async () => (await sleepers()).length <= running.length);
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
  });

  it('stops being built when the server is killed, and the next process says that nothing was launched', async () => {
    await dockerfile(SLOW);
    const running = await sleepers();
    const { run: open } = await run({ wait_seconds: 0 });
    await until('the build', async () =>
      told(await log(open.id).catch(() => [])).includes('[build] in-the-middle'),
    );
    await kill9(server);
    await until('no container of the build', async () => (await sleepers()).length <= running.length);
    server = await connect({ home, env: trusted(workspace) });
    const { run: done } = await ask('wait_for_action_run', { run_id: open.id, wait_seconds: 50 });
    expect(done).toMatchObject({ status: 'failed', exit_code: null });
    expect(done.status_reason).toMatch(/^not launched: /);
    expect((await record(open.id)).launched).toBe(false);
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
  });

  it('is built by the supervisor that takes the run over from a server that ends', async () => {
    await dockerfile('RUN echo in-the-middle && sleep 4 && echo made > /made');
    const { run: open } = await run({ wait_seconds: 0 });
    await until('the build', async () =>
      told(await log(open.id).catch(() => [])).includes('[build] in-the-middle'),
    );
    await server.close();
    server = await connect({ home, env: trusted(workspace) });
    const { run: done } = await ask('wait_for_action_run', { run_id: open.id, wait_seconds: 50 });
    expect(done).toMatchObject({ status: 'success' });
    expect((await log(open.id)).at(-1)).toBe('made');
  });

  it('is another one as soon as its base is', async () => {
    const base = `polycrate-mcp-test/base-${randomUUID().slice(0, 8)}`;
    await docker.getImage(TEST_IMAGE).tag({ repo: base, tag: '1' });
    built.add(`${base}:1`);
    await write('Dockerfile.poly', `FROM ${base}:1\n${fresh()}\nRUN echo made >> /made\n`);
    const first = await run();
    expect((await log(first.run.id)).at(-1)).toBe('made');
    const { image, digest } = await plan();
    expect(image.build.cached).toBe(true);
    await docker.getImage(image.reference).tag({ repo: base, tag: '1' });
    const after = await plan();
    expect(after.image).toMatchObject({ reference: image.reference, digest: null, build: { cached: false } });
    expect(after.digest).not.toBe(digest);
    const second = await run();
    expect((await log(second.run.id)).slice(-2)).toEqual(['made', 'made']);
  });

  it('is not built without files from a base that may want some', async () => {
    const base = `polycrate-mcp-test/base-${randomUUID().slice(0, 8)}`;
    built.add(`${base}:1`);
    await dockerfile('ONBUILD COPY . /context/');
    const first = await run();
    expect(first.succeeded).toBe(true);
    const { image } = await plan();
    await docker.getImage(image.reference).tag({ repo: base, tag: '1' });
    await write('Dockerfile.poly', `FROM ${base}:1\n`);
    const done = await run();
    expect(done).toMatchObject({ launched: false, run: { status: 'failed' } });
    expect(done.run.status_reason).toContain('ONBUILD');
  });

  it('is not built from a Dockerfile that is a link out of the workspace', async () => {
    await rm(join(workspace.path, 'Dockerfile.poly'));
    await symlink('/etc/hostname', join(workspace.path, 'Dockerfile.poly'));
    const { isError, error } = await server.call('plan_action', target());
    await rm(join(workspace.path, 'Dockerfile.poly'));
    expect(isError).toBe(true);
    expect(error?.message).toContain('leads out of the workspace');
  });

  /** Containers of builds, which the engine gives no name or label of ours. */
  async function sleepers(): Promise<string[]> {
    const all = await docker.listContainers();
    return all.filter(({ Command }) => Command.includes('in-the-middle')).map(({ Id }) => Id);
  }
});
