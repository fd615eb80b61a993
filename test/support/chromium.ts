import { existsSync } from 'node:fs';
import { describe } from 'vitest';
import { chromium, type Browser } from 'playwright-core';

const PROGRAM = process.env['POLYCRATE_MCP_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
const MISSING = existsSync(PROGRAM) ? null : 'There is no Chromium (Debian: chromium).';
if (MISSING && process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1') throw new Error(MISSING);
if (MISSING) console.error(`SKIPPED: ${MISSING}`);

/** Like `describe`, for tests that look at pages with a real browser. */
export const describeWithChromium = MISSING ? describe.skip : describe;

export async function openChromium(): Promise<Browser> {
  // As root there is no sandbox to be had.
  return await chromium.launch({
    executablePath: PROGRAM,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}
