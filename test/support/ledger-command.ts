import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './mcp.ts';

type Environment = Readonly<Record<string, string>>;

/** Nothing of our own environment but the path. */
export function ledgerEnvironment(home: string, more: Environment = {}): Record<string, string> {
  return { PATH: process.env['PATH']!, HOME: home, POLYCRATE_MCP_HOME: home, ...more };
}

/** `polycrate-mcp ledger …`, as an operator calls it. */
export function runLedger(
  home: string,
  args: readonly string[],
  more: Environment = {},
): { status: number | null; stdout: string; stderr: string } {
  const options = { env: ledgerEnvironment(home, more), encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'ledger', ...args], options);
  return { status, stdout, stderr };
}

/** The same, killed after that many milliseconds unless null. Answers how long it lived. */
export async function killLedger(
  home: string,
  args: readonly string[],
  after_ms: number | null,
): Promise<number> {
  const began = Date.now();
  const options = { env: ledgerEnvironment(home), stdio: 'ignore' } as const;
  const child = spawn(process.execPath, [MAIN, 'ledger', ...args], options);
  const timer = after_ms === null ? null : setTimeout(() => child.kill('SIGKILL'), after_ms);
  await once(child, 'exit');
  if (timer) clearTimeout(timer);
  return Date.now() - began;
}
