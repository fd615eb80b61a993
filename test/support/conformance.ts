import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

/** Where conformance.sh puts a suite. */
function folderOf(suite: 'conformance' | 'mcpjam'): string {
  const named = process.env[`POLYCRATE_MCP_TEST_${suite.toUpperCase()}`];
  return named ?? join(homedir(), '.cache/polycrate-mcp-test', suite);
}

function gate(suite: 'conformance' | 'mcpjam', name: string): typeof describe | typeof describe.skip {
  const folder = folderOf(suite);
  if (existsSync(join(folder, 'installed'))) return describe;
  const missing = `${name} is not in ${folder}; install it with: test/support/conformance.sh`;
  if (process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1') throw new Error(missing);
  console.error(`SKIPPED: ${missing}`);
  return describe.skip;
}

/** Like `describe`, for tests that run the official conformance suite of the protocol. */
export function describeWithConformance(name: string, tests: () => void): void {
  gate('conformance', 'The official conformance suite')(name, tests);
}

/** The same with MCPJam's. */
export function describeWithMcpJam(name: string, tests: () => void): void {
  gate('mcpjam', "MCPJam's conformance suite")(name, tests);
}

/** The official suite's program, and the Node.js that it needs. */
export function conformance(): { node: string; suite: string } {
  const packages = join(folderOf('conformance'), 'node_modules');
  const folder = readdirSync(packages).find((name) => name.startsWith('node-linux-'));
  return {
    node: join(packages, folder!, 'bin', 'node'),
    suite: join(packages, '@modelcontextprotocol/conformance/dist/index.js'),
  };
}

/** MCPJam's suite is a library; `mcpjam.mjs` beside this file runs it. */
export const MCPJAM = {
  program: new URL('mcpjam.mjs', import.meta.url).pathname,
  library: (): string => join(folderOf('mcpjam'), 'node_modules/@mcpjam/sdk/dist/index.js'),
};
