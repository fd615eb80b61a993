import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { conformance, describeWithConformance } from '../support/conformance.ts';
import { tempFolder } from '../support/mcp.ts';
import { serve, type TeamServer } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

/** Every scenario of the suite that asks for nothing of its own; the rest wants names that no product has, such as the resource `test://watched-resource`. */
const SCENARIOS = {
  '2025-11-25': [
    'server-initialize', 'ping', 'tools-list', 'resources-list', 'prompts-list', 'server-sse-multiple-streams',
    'server-session-lifecycle', 'dns-rebinding-protection',
  ],
  '2026-07-28': [
    'tools-list', 'resources-list', 'prompts-list', 'sep-2164-resource-not-found', 'caching',
    'dns-rebinding-protection', 'http-header-validation', 'server-sse-multiple-streams',
    'input-required-result-unsupported-methods', 'server-stateless',
  ],
} as const; // prettier-ignore

/** Checks inside `server-stateless` that need such names, too. */
const NEEDS_FIXTURES = [
  'sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400',
  'sep-2575-http-server-no-independent-requests-on-stream', 'sep-2575-server-no-log-without-loglevel',
  'sep-2575-server-sends-prompts-list-changed-on-subscription',
  'sep-2575-server-sends-tools-list-changed-on-subscription',
]; // prettier-ignore

describeWithConformance('the official conformance suite', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let server: TeamServer;
  let expected: string;

  beforeAll(async () => {
    home = await tempFolder('conformance');
    await writeWorkspace(home.path, {
      name: 'shop',
      organization: 'acme',
      blocks: { web: { version: '1.0.0', actions: [script('hello', 'echo hello')] } },
    });
    server = await serve({
      home: home.path,
      args: ['--no-auth'],
      env: { ...localSettings(home.path), POLYCRATE_MCP_RATE_LIMIT: 'none' },
    });
    expected = join(home.path, 'expected.yml');
    await writeFile(
      expected,
      `server:\n${NEEDS_FIXTURES.map((id) => `  - server-stateless:${id}\n`).join('')}`,
    );
  });
  afterAll(async () => {
    await server.end();
    await home.remove();
  });

  it.each(
    Object.entries(SCENARIOS).flatMap(([version, names]) => names.map((name) => [version, name] as const)),
  )('%s: %s', async (version, name) => {
    const { node, suite } = conformance();
    const args = ['server', '--url', server.url.href, '--scenario', name, '--spec-version', version];
    if (name === 'server-stateless') args.push('--expected-failures', expected);
    const run = promisify(execFile)(node, [suite, ...args], { cwd: home.path });
    const { code, stdout } = await run.then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    expect(code, stdout).toBe(0);
  });
});
