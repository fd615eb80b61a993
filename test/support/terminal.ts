import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { MAIN } from './mcp.ts';

export interface Typed {
  /** Once this is on the screen … */
  after: RegExp;
  /** … this is typed, and Enter. */
  text: string;
}

/** Copies between its own standard streams and a real terminal in which a program runs. */
const PTY = `import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))`;

/** Runs a command of the program in a terminal of its own, and answers what was on the screen. */
export async function inTerminal(
  args: readonly string[],
  env: Record<string, string>,
  typed: readonly Typed[] = [],
): Promise<{ code: number | null; screen: string }> {
  const child = spawn('python3', ['-c', PTY, process.execPath, MAIN, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), TERM: 'xterm', ...env },
    cwd: tmpdir(),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let screen = '';
  const left = [...typed];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    const [next] = left;
    if (!next?.after.test(screen)) return;
    left.shift();
    child.stdin.write(`${next.text}\r`);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, screen };
}
