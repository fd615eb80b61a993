import Docker from 'dockerode';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createDockerExecutor } from '../../src/adapters/docker/docker-executor.ts';
import { type Executor } from '../../src/runs/executor.ts';
import { describeWithEngine } from '../support/engine.ts';
import { type FakeRegistry, type FakeRegistryOptions, openFakeRegistry } from './executor-fake-registry.ts';
import { clock, quiet } from './executor-support.ts';

describeWithEngine('docker executor pulls', () => {
  const docker = new Docker({ socketPath: '/var/run/docker.sock' });
  const never = new AbortController().signal;
  let folder: string;
  let registry: FakeRegistry;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'polycrate-pull-'));
  });
  afterEach(async () => {
    await docker
      .getImage(registry.id)
      .remove({ force: true })
      .catch(() => undefined);
    await registry.close();
    await rm(folder, { recursive: true });
  });

  const executorFor = async (
    options: FakeRegistryOptions = {},
    pullTimeoutMs = 30_000,
  ): Promise<Executor> => {
    registry = await openFakeRegistry(options);
    return createDockerExecutor({
      host: 'unix:///var/run/docker.sock',
      context: null,
      certPath: null,
      dockerConfigDir: folder,
      home: '/nonexistent',
      runtimeDir: null,
      ledgerLabel: 'pull',
      helperEnv: { PATH: `${folder}:/usr/bin:/bin` },
      pullTimeoutMs,
      clock,
      log: quiet,
    });
  };
  const config = (content: unknown): Promise<void> =>
    writeFile(join(folder, 'config.json'), JSON.stringify(content));

  it('an image that is missing locally, its latest tag by default, and tells how it goes', async () => {
    const executor = await executorFor();
    expect(await executor.image(registry.image)).toBeNull();
    const lines: string[] = [];
    expect(await executor.pull(registry.image, (line) => lines.push(line), never)).toMatchObject({
      digest: registry.id,
    });
    expect(await executor.image(`${registry.image}:latest`)).toMatchObject({ digest: registry.id });
    expect(await executor.image(`${registry.image}:2`)).toBeNull();
    expect(lines.length).toBeGreaterThan(0);
  });

  it('with the login of the Docker config', async () => {
    const executor = await executorFor({ login: 'me:se:cret' });
    const refused = executor.pull(`${registry.image}:2`, () => undefined, never);
    await expect(refused).rejects.toMatchObject({ code: 'launch_failed' });
    await config({ auths: { [registry.host]: { auth: Buffer.from('me:se:cret').toString('base64') } } });
    const image = await executor.pull(`${registry.image}:2`, () => undefined, never);
    expect(image).toMatchObject({ digest: registry.id });
  });

  it('with the login of a credential helper, asked without a shell', async () => {
    const executor = await executorFor({ login: 'helper:secret' });
    const script = `#!/bin/sh\nread -r registry\n[ "$1 $registry" = "get ${registry.host}" ] && echo '{"Username":"helper","Secret":"secret"}'\n`;
    await writeFile(join(folder, 'docker-credential-test'), script, { mode: 0o755 });
    await config({ credsStore: 'test' });
    const image = await executor.pull(`${registry.image}:2`, () => undefined, never);
    expect(image).toMatchObject({ digest: registry.id });
  });

  it('nothing that the registry does not have, in its words', async () => {
    const executor = await executorFor();
    await expect(executor.pull(`${registry.image}:9`, () => undefined, never)).rejects.toMatchObject({
      code: 'launch_failed',
      message: expect.stringMatching(/tiny:9.*(not found|unknown)/s) as string,
    });
  });

  it('no longer than its time', async () => {
    const executor = await executorFor({ hangs: true }, 300);
    await expect(executor.pull(registry.image, () => undefined, never)).rejects.toMatchObject({
      code: 'launch_failed',
      message: expect.stringContaining('longer than 0.3 s') as string,
    });
  });

  it('until it is cancelled', async () => {
    const executor = await executorFor({ hangs: true });
    const cancel = new AbortController();
    const pulling = executor.pull(registry.image, () => undefined, cancel.signal);
    await registry.layerAsked;
    cancel.abort();
    await expect(pulling).rejects.toMatchObject({
      code: 'launch_failed',
      message: expect.stringContaining('cancelled') as string,
    });
  });
});
