import { defineConfig } from 'vitest/config';

/** Where CI wants the result as data, besides the report for people. */
const resultFile = process.env['POLYCRATE_MCP_TEST_RESULT'];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: true,
    // More than two cores need: much of the time goes into waiting for other processes.
    maxWorkers: 3,
    // No test file changes what others see of its process; a process for each costs a sixth of the time.
    isolate: false,
    retry: 0,
    reporters: resultFile ? ['default', ['json', { outputFile: resultFile }]] : ['default'],
  },
});
