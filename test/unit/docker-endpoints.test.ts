import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EndpointHints, endpointsToTry, parseAddress } from '../../src/adapters/docker/endpoints.ts';
import { authFromConfig, registryOf } from '../../src/adapters/docker/registry-auth.ts';
import { withTag } from '../../src/adapters/docker/pull.ts';

describe('places to look for an engine', () => {
  let home: string;
  const hints = (overrides: Partial<EndpointHints> = {}): EndpointHints => ({
    host: null,
    context: null,
    certPath: null,
    dockerConfigDir: null,
    home,
    runtimeDir: '/run/user/7',
    ...overrides,
  });
  const context = async (name: string, meta: unknown): Promise<void> => {
    const dir = join(home, '.docker/contexts/meta', createHash('sha256').update(name).digest('hex'));
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'meta.json'), JSON.stringify(meta));
  };

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'polycrate-home-'));
    await mkdir(join(home, '.docker'));
  });
  afterEach(async () => rm(home, { recursive: true }));

  it('are only DOCKER_HOST where it is set', async () => {
    const places = await endpointsToTry(hints({ host: 'tcp://engine:2376', certPath: '/certs' }));
    expect(places).toEqual([
      { name: 'DOCKER_HOST tcp://engine:2376', address: 'tcp://engine:2376', tlsDir: '/certs' },
    ]);
  });

  it('are the current context, then the sockets of Docker, Podman, Colima and the desktops', async () => {
    await writeFile(join(home, '.docker/config.json'), '{"currentContext":"lab"}');
    await context('lab', { Name: 'lab', Endpoints: { docker: { Host: 'unix:///lab.sock' } } });
    const names = (await endpointsToTry(hints())).map(({ name }) => name);
    expect(names).toEqual([
      'docker context "lab" unix:///lab.sock',
      '/var/run/docker.sock',
      '/run/user/7/docker.sock',
      '/run/user/7/podman/podman.sock',
      '/run/podman/podman.sock',
      join(home, '.colima/default/docker.sock'),
      join(home, '.docker/run/docker.sock'),
      join(home, '.docker/desktop/docker.sock'),
      join(home, '.orbstack/run/docker.sock'),
    ]);
  });

  it('say what is wrong with a context, and are only that context where DOCKER_CONTEXT names it', async () => {
    await context('empty', {});
    expect(await endpointsToTry(hints({ context: 'empty' }))).toEqual([
      { name: 'docker context "empty"', problem: 'it names no docker endpoint' },
    ]);
    expect(await endpointsToTry(hints({ context: 'lost' }))).toMatchObject([
      { problem: expect.stringContaining('cannot be read') as string },
    ]);
  });
});

describe('engine address', () => {
  it.each([
    ['unix:///var/run/docker.sock', false, { socketPath: '/var/run/docker.sock' }],
    ['npipe:////./pipe/docker_engine', false, { socketPath: '//./pipe/docker_engine' }],
    ['tcp://10.0.0.1', false, { host: '10.0.0.1', port: 2375, protocol: 'http' }],
    ['tcp://10.0.0.1', true, { host: '10.0.0.1', port: 2376, protocol: 'https' }],
    ['tcp://[::1]:99', false, { host: '::1', port: 99, protocol: 'http' }],
  ])('%s (tls: %s)', (address, tls, expected) => {
    expect(parseAddress(address, tls)).toEqual(expected);
  });

  it.each(['ssh://host', 'nonsense', 'unix://', 'ftp://host'])('refuses %s', (address) => {
    expect(() => parseAddress(address, false)).toThrow(expect.objectContaining({ code: 'configuration' }));
  });
});

describe('registry of a reference', () => {
  it.each([
    ['debian', 'docker.io'],
    ['library/debian:12', 'docker.io'],
    ['index.docker.io/library/debian', 'docker.io'],
    ['registry.example/team/image:1', 'registry.example'],
    ['127.0.0.1:5000/tiny', '127.0.0.1:5000'],
    ['localhost/tiny', 'localhost'],
  ])('%s is %s', (reference, registry) => {
    expect(registryOf(reference)).toBe(registry);
  });

  it.each([
    ['host:5000/a', 'host:5000/a:latest'],
    ['host:5000/a:1', 'host:5000/a:1'],
    ['a@sha256:00', 'a@sha256:00'],
  ])('%s is pulled as %s', (reference, pulled) => {
    expect(withTag(reference)).toBe(pulled);
  });
});

describe('login in the Docker config', () => {
  const auth = Buffer.from('me:pass:word').toString('base64');

  it('is found under the host, with or without scheme and path', () => {
    const expected = { username: 'me', password: 'pass:word', serveraddress: 'registry.example' };
    for (const key of ['registry.example', 'https://registry.example', 'https://registry.example/v1/']) {
      expect(authFromConfig({ other: {}, [key]: { auth } }, 'registry.example')).toEqual(expected);
    }
  });

  it('may be an identity token, and may be absent or unreadable', () => {
    expect(authFromConfig({ r: { auth, identitytoken: 't' } }, 'r')).toEqual({
      identitytoken: 't',
      serveraddress: 'r',
    });
    expect(authFromConfig({}, 'r')).toBeNull();
    expect(authFromConfig({ r: {} }, 'r')).toBeNull();
    expect(authFromConfig({ r: { auth: 'bm9jb2xvbg==' } }, 'r')).toBeNull();
  });
});
