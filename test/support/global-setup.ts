import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestProject } from 'vitest/node';
import { SSH_IMAGE, TEST_IMAGE } from './images.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

/** What this machine lacks, in words; null where nothing is missing. Reaches test files through `inject`. */
export interface EngineFacts {
  toolchain: string | null;
  sshTarget: string | null;
}

declare module 'vitest' {
  export interface ProvidedContext {
    engine: EngineFacts;
  }
}

/** Once per test run: builds what is out of date, and finds out which real parts are there. */
export default function setup(project: TestProject): void {
  if (isStale()) build();
  const engine = engineFacts();
  project.provide('engine', engine);
  if (process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1') return;
  for (const missing of new Set([engine.toolchain, engine.sshTarget])) {
    if (missing !== null) console.error(`SKIPPED: tests that need a container engine. ${missing}`);
  }
}

/** The built program is what some tests start; `vitest` alone must not test yesterday's. */
function isStale(): boolean {
  const built = join(ROOT, 'dist', 'main.js');
  if (!existsSync(built)) return true;
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(ROOT, 'src', file));
  const newest = Math.max(...[...sources, join(ROOT, 'build.mjs')].map((file) => statSync(file).mtimeMs));
  return newest > statSync(built).mtimeMs;
}

function build(): void {
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node build.mjs failed, so there is nothing to test:\n${stderr}`);
}

function engineFacts(): EngineFacts {
  if (!docker('version')) {
    const missing =
      'No engine answers `docker version`: install and start one (Debian: docker.io), or set DOCKER_HOST.';
    return { toolchain: missing, sshTarget: missing };
  }
  return { toolchain: lack(TEST_IMAGE), sshTarget: lack(SSH_IMAGE) };
}

function lack(image: string): string | null {
  const help = 'build it with: sudo test/support/images.sh';
  return docker('image', 'inspect', image) ? null : `The image ${image} is not there; ${help}`;
}

function docker(...args: string[]): boolean {
  return spawnSync('docker', args, { stdio: 'ignore', timeout: 20_000 }).status === 0;
}
