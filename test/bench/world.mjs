// What the measured servers look at: a small workspace, a ledger of their own, the test image.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const ROOT = new URL('../../', import.meta.url);
const DIST = new URL('dist/', ROOT).pathname;
export const MAIN = join(DIST, 'main.js');
export const ECHO = new URL('echo-server.mjs', import.meta.url).pathname;
export const EVERYTHING = new URL('node_modules/@modelcontextprotocol/server-everything/dist/index.js', ROOT)
  .pathname;
export const IMAGE = 'polycrate-mcp-test/toolchain:1';

const ACTIONS = {
  nothing: ['true'],
  chatty: ["head -c 200000000 /dev/zero | tr '\\0' 'x' | fold -w 99"],
};

export async function makeWorld() {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-mcp-bench-')));
  const workspaces = join(folder, 'workspaces');
  for (const name of ['alpha', 'beta', 'gamma']) await writeWorkspace(join(workspaces, name), name);
  const home = join(folder, 'home');
  return {
    folder,
    home,
    env: {
      POLYCRATE_MCP_HOME: home,
      POLYCRATE_MCP_WORKSPACES: workspaces,
      POLYCRATE_MCP_RUN_MODE: 'trusted',
      POLYCRATE_MCP_IMAGE: IMAGE,
      POLYCRATE_MCP_PULL: 'never',
      ...(process.env.DOCKER_HOST && { DOCKER_HOST: process.env.DOCKER_HOST }),
    },
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
}

async function writeWorkspace(path, name) {
  await mkdir(path, { recursive: true });
  await writeFile(
    join(path, 'workspace.poly'),
    `name: ${name}\norganization: bench\nlabels:\n  environment: test\n`,
  );
  for (const block of ['one', 'two']) {
    const actions = Object.entries(ACTIONS).map(([action, script]) => ({ name: action, script }));
    await mkdir(join(path, 'blocks', block), { recursive: true });
    await writeFile(
      join(path, 'blocks', block, 'block.poly'),
      JSON.stringify({ name: block, version: '1.0.0', actions }),
    );
  }
}

/** Fills the ledger with past runs through the product's own store. */
export async function fillLedger(world, count) {
  const { fillLedger: fill } = await bundled(world, 'fill-ledger');
  const start = Date.now() - count * 60_000;
  const runs = Array.from({ length: count }, (_, n) => ({
    organization: 'bench',
    workspace: ['alpha', 'beta', 'gamma'][n % 3],
    environment: n % 2 ? 'test' : 'production',
    block: n % 2 ? 'one' : 'two',
    block_version: '1.0.0',
    action: n % 5 ? 'nothing' : 'restart',
    display: ['alice', 'bob', 'carol'][n % 3],
    status: n % 7 ? 'success' : 'failed',
    exit_code: n % 7 ? 0 : 2,
    reason: `change ${n}`,
    requested_at: start + n * 60_000,
  }));
  await fill(world.home, runs);
}

/** Fills the ledger with very many past runs, which need not survive a power cut. */
export async function bulkLedger(world, count) {
  const { bulkLedger: fill } = await bundled(world, 'bulk-ledger');
  fill(world.home, count);
}

export function appendParts(world) {
  return bundled(world, 'append-ledger');
}

/** Filling ledgers with very many runs. */
export function manyRunsParts(world) {
  return bundled(world, 'many-runs');
}

/** A module of the tests' support, in TypeScript, with the product's own parts in it. */
async function bundled(world, name) {
  const source = new URL(`test/support/${name}.ts`, ROOT);
  // Beside the product, so that packages which stay outside of a bundle are found.
  const outfile = join(DIST, `bench-${name}.mjs`);
  await build({
    entryPoints: [source.pathname],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    external: ['better-sqlite3', 'pg'],
    // As if it lay where it was written, so that what it names by its own place is found.
    define: { 'import.meta.url': JSON.stringify(source.href) },
    logLevel: 'error',
  });
  return await import(pathToFileURL(outfile).href);
}

const run = promisify(execFile);

/** `docker run` of the same image, as its own client does it. */
export function dockerRun(...command) {
  return run('docker', ['run', '--rm', '--network', 'host', IMAGE, ...command], { maxBuffer: 1024 });
}

/** Null where containers of the test image can be run, else why not. */
export async function missingEngine() {
  try {
    await run('docker', ['image', 'inspect', IMAGE]);
    return null;
  } catch {
    return `no engine with the image ${IMAGE} (test/support/images.sh builds it)`;
  }
}
