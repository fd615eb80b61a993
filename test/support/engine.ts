import { describe, inject, it } from 'vitest';

export { SSH_IMAGE, TEST_IMAGE } from './images.ts';

const facts = inject('engine');

/** Skips where a part is missing; where every part is required (CI), fails the file that asked for it. */
function gate<T extends { skipIf(condition: boolean): unknown }>(api: T, missing: string | null): T {
  if (missing !== null && process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1') throw new Error(missing);
  return missing === null ? api : (api.skipIf(true) as T);
}

/** Like `describe` and `it`, for tests that run containers of TEST_IMAGE. */
export const describeWithEngine = gate(describe, facts.toolchain);
export const itWithEngine = gate(it, facts.toolchain);

/** For tests that also need the SSH target, which is a container of SSH_IMAGE. */
export const describeWithSshTarget = gate(describe, facts.toolchain ?? facts.sshTarget);
