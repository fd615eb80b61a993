import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithMcpJam, MCPJAM } from '../support/conformance.ts';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, type TeamServer } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

describeWithMcpJam("MCPJam's conformance suite, with a token", () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let server: TeamServer;

  beforeAll(async () => {
    home = await tempFolder('mcpjam');
    const blocks = { web: { version: '1.0.0', actions: [script('hello', 'echo hello')] } };
    await writeWorkspace(home.path, { name: 'shop', organization: 'acme', blocks });
    server = await serve({ home: home.path, env: localSettings(home.path) });
  });
  afterAll(async () => {
    await server.end();
    await home.remove();
  });

  /** What it found of each of its checks. */
  const checked = async (token: string): Promise<Record<string, string>> => {
    // It would tell its makers.
    const env = { PATH: process.env['PATH'], HOME: home.path, MCPJAM_TELEMETRY_DISABLED: '1' };
    const args = [MCPJAM.program, MCPJAM.library(), server.url.href, token];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const checks = JSON.parse(stdout) as { id: string; status: string; error?: { message: string } }[];
    return Object.fromEntries(
      checks.map(({ id, status, error }) => [id, status === 'failed' ? error!.message : status]),
    );
  };

  it('finds nothing but that there is no logging, which the protocol has given up', async () => {
    const { token } = await makeKey({ home: home.path, name: 'Jam', args: ['--role', 'runner'] });
    const { 'logging-set-level': logging, ...found } = await checked(token);
    expect(logging).toBe('skipped');
    expect(found).toEqual(Object.fromEntries(Object.keys(found).map((id) => [id, 'passed'])));
    expect(Object.keys(found)).toHaveLength(14);
  });

  it('gets nowhere with another token', async () => {
    const { 'server-initialize': opened, 'tools-list': tools } = await checked('pmk_000000000000_wrong');
    expect(opened).toContain('Authentication failed');
    expect(tools).toBe('skipped');
  });
});
