import { existsSync } from 'node:fs';
import { describe } from 'vitest';

export const TEST_IMAGE = process.env['POLYCRATE_MCP_TEST_IMAGE'] ?? 'polycrate-mcp-test/toolchain:1';

const here = existsSync('/var/run/docker.sock');
if (!here && process.env['POLYCRATE_MCP_TEST_REQUIRE'] !== '1') {
  console.warn('SKIPPED: no container engine at /var/run/docker.sock');
}

/** Skips without an engine, unless POLYCRATE_MCP_TEST_REQUIRE=1 asks for a failure instead. */
export const describeWithEngine: typeof describe | typeof describe.skip =
  here || process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1' ? describe : describe.skip;
