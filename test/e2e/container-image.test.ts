import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { TEST_IMAGE } from '../support/images.ts';
import { tempFolder } from '../support/mcp.ts';
import { visit } from '../support/team-server.ts';

// The container image: built by its Dockerfile, on a base made of the test image and this machine's Node.js because no
// registry may be within reach, with the dependencies that are installed here.

const ROOT = new URL('../../', import.meta.url).pathname;
const run = promisify(execFile);
const docker = async (...args: string[]): Promise<string> =>
  (await run('docker', args, { maxBuffer: 8 * 1024 * 1024 })).stdout.trim();

describeWithEngine('the container image', () => {
  const tag = `polycrate-mcp-test/server:${process.pid}`;
  const base = `polycrate-mcp-test/node:${process.pid}`;
  let folder: Awaited<ReturnType<typeof tempFolder>>;

  beforeAll(async () => {
    folder = await tempFolder('image');
    await buildBase();
    const context = join(folder.path, 'context');
    await writeContext(context);
    await docker(
      'build',
      '--quiet',
      '--build-arg',
      `BASE=${base}`,
      '--build-arg',
      'MODULES=context',
      '-f',
      join(context, 'Dockerfile'),
      '-t',
      tag,
      context,
    );
  }, 240_000);
  afterAll(async () => {
    for (const image of [tag, base]) await docker('rmi', '--force', image).catch(() => undefined);
    await folder.remove();
  });

  async function buildBase(): Promise<void> {
    const place = join(folder.path, 'base');
    await mkdir(place);
    await cp(await realpath(process.execPath), join(place, 'node'));
    await writeFile(join(place, 'Dockerfile'), `FROM ${TEST_IMAGE}\nCOPY node /usr/local/bin/node\n`);
    await docker('build', '--quiet', '-t', base, place);
  }

  async function writeContext(context: string): Promise<void> {
    await mkdir(context);
    const { stdout } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
      cwd: ROOT,
      maxBuffer: 8 * 1024 * 1024,
    }).catch((error: { stdout: string }) => error);
    const modules = stdout.split('\n').filter((path) => path.includes('node_modules'));
    const list = modules.map((path) => relative(ROOT, path));
    // Links instead of copies; what lies below another module comes with it.
    await run(
      'cp',
      ['-al', '--parents', ...list.filter((path) => path.lastIndexOf('node_modules') === 0), context],
      { cwd: ROOT },
    );
    for (const file of ['dist', 'package.json', 'LICENSE'])
      await cp(join(ROOT, file), join(context, file), { recursive: true });
    await cp(join(ROOT, 'manifests/container/Dockerfile'), join(context, 'Dockerfile'));
  }

  it('serves as nobody in particular, on a file system that it cannot write, and answers an assistant', async () => {
    // A volume of its own, which is nobody's but the image's user.
    const flags = [
      '--rm',
      '--read-only',
      '--tmpfs',
      '/tmp',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
    ];
    const name = `polycrate-mcp-image-${process.pid}`;
    const port = String(20_000 + (process.pid % 20_000));
    const child = spawn(
      'docker',
      [
        'run',
        '--name',
        name,
        '--network',
        'host',
        ...flags,
        tag,
        'serve',
        '--host',
        '127.0.0.1',
        '--port',
        port,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const ended = once(child, 'exit') as Promise<[number | null]>;
    try {
      const url = await listening(child.stderr);
      expect((await fetch(new URL('/healthz', url))).status).toBe(200);
      expect((await fetch(new URL('/readyz', url))).status).toBe(200);
      expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401);
      const inside = async (...command: string[]) => await docker('exec', name, ...command);
      expect(await inside('id', '-u')).toBe('10001');
      await expect(inside('touch', '/app/dist/main.js')).rejects.toThrow();
      const { token } = JSON.parse(
        await inside('node', '/app/dist/main.js', 'keys', 'create', '--name', 'ci', '--json'),
      ) as { token: string };
      const client = await visit({ url, token });
      expect((await client.call('get_status')).data.server).toMatchObject({ version: expect.any(String) });
      await client.close();
      await docker('stop', '--time', '30', name);
      expect((await ended)[0]).toBe(0);
    } finally {
      await docker('rm', '--force', '--volumes', name).catch(() => undefined);
    }
  });

  it('has nothing in it that is only for building and testing', async () => {
    const { Config } = JSON.parse(await docker('image', 'inspect', '--format', '{{json .}}', tag)) as {
      Config: { User: string; Env: string[] };
    };
    expect(Config.User).toBe('10001:10001');
    const there = await docker('run', '--rm', '--entrypoint', 'ls', tag, '/app', '/app/node_modules');
    expect(there).toContain('better-sqlite3');
    for (const absent of ['vitest', 'esbuild', 'typescript', 'src', 'test'])
      expect(there.split(/\s+/)).not.toContain(absent);
  });
});

async function listening(stream: NodeJS.ReadableStream): Promise<URL> {
  const said: string[] = [];
  for await (const line of createInterface({ input: stream })) {
    said.push(line);
    const address = /serving MCP at ([^\s,]+)/.exec(line)?.[1];
    if (address) {
      stream.resume();
      return new URL(address);
    }
  }
  throw new Error(`the container ended before it listened:\n${said.join('\n')}`);
}

it('is built by the same file as its compose file and its documentation name', async () => {
  const compose = await readFile(join(ROOT, 'manifests/compose/compose.yaml'), 'utf8');
  expect(compose).toContain('dockerfile: manifests/container/Dockerfile');
});
