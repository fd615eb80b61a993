import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, MAIN, tempFolder } from '../support/mcp.ts';
import { scriptWorkspace, type ScriptWorkspace } from '../support/script-workspace.ts';
import { until } from '../support/traces.ts';

// Folders of logs as large as they become in years, and imports that meet or are killed.

let workspace: ScriptWorkspace;
let home: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  [workspace, home] = await Promise.all([scriptWorkspace({ db: { restart: 'true' } }), tempFolder('logs')]);
});
afterAll(() => Promise.all([workspace.remove(), home.remove()]));

const env = () => ({ PATH: process.env['PATH']!, HOME: home.path, POLYCRATE_MCP_HOME: home.path, POLYCRATE_MCP_WORKSPACES: workspace.root, POLYCRATE_MCP_RUN_MODE: 'read-only' }); // prettier-ignore

/** Output as the CLI writes it: quoted, on one line, with colours. */
const output = (lines: number): string =>
  Array.from(
    { length: lines },
    (_, n) => `\\e[0;32mok: [web-${n}]\\e[0m => number ${n} of the output\\r\\n`,
  ).join('');

async function writeLog(day: string, id: string, size: { lines: number; keys: number }): Promise<void> {
  const folder = join(workspace.path, '.logs', day);
  await mkdir(folder, { recursive: true });
  const config = Array.from({ length: size.keys }, (_, n) => `      option_${n}: value ${n}\n`).join('');
  await writeFile(
    join(folder, `${id}.yml`),
    `transaction: ${id}\ndate: "${day}T08:00:00Z"\nblock: db\naction: restart\noutput: "${output(size.lines)}"\nsnapshot:\n  workspace:\n    config:\n${config}  block:\n    name: db\n    version: 1.0.0\n`,
  );
}

function startImport(): ChildProcess & { text(): string } {
  const child = spawn(process.execPath, [MAIN, 'history', 'import'], { env: env() });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  return Object.assign(child, { text: () => text });
}

/** The most memory that a process took, in MB; null: it is gone. */
async function peakOf(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  return found === undefined ? null : Number(found) / 1024;
}

const drafts = () => readdir(join(home.path, 'logs', 'drafts')).catch(() => [] as string[]);
/** Lines of the stored output of each run. */
async function linesOf(ids: readonly string[]): Promise<number[]> {
  const server = await connect({ home: home.path, env: env() });
  const counts: number[] = [];
  for (const run_id of ids) counts.push((await server.call('read_action_run_log', { run_id, lines: 1 })).data.total_lines); // prettier-ignore
  await server.close();
  return counts;
}

describe('logs of the CLI', () => {
  it('are whole after an import was killed, and two went on at once', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `race-${n}`);
    for (const [n, id] of ids.entries()) await writeLog(n < 20 ? '2025-01-01' : '2025-01-02', id, { lines: n % 10 === 0 ? 40_000 : 20, keys: 5 }); // prettier-ignore
    const killed = startImport();
    await until('a log that is being written', async () => (await drafts()).length > 0 || killed.exitCode !== null);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    const both = [startImport(), startImport()];
    await Promise.all(both.map((one) => once(one, 'exit')));
    expect(both.map(({ exitCode }) => exitCode), both.map((one) => one.text()).join('\n')).toEqual([0, 0]);
    expect(await linesOf(ids)).toEqual(ids.map((_, n) => (n % 10 === 0 ? 40_000 : 20)));
    const again = startImport();
    await once(again, 'exit');
    expect(again.text()).toContain('0 files read, 0 new runs, 0 changed');
  }); // prettier-ignore

  it('of thousands and of 20 MB each are imported to the last, in bounded memory', async () => {
    for (let n = 0; n < 2_000; n++) await writeLog(`2025-02-${String((n % 28) + 1).padStart(2, '0')}`, `small-${n}`, { lines: 5, keys: 60 }); // prettier-ignore
    const large = Array.from({ length: 3 }, (_, n) => `large-${n}`);
    for (const id of large) await writeLog('2025-03-01', id, { lines: 330_000, keys: 10_000 });
    const child = startImport();
    let peak = 0;
    while (child.exitCode === null) {
      peak = Math.max(peak, (await peakOf(child.pid!)) ?? 0);
      await pause(50);
    }
    expect(child.text()).toContain('2003 files read, 2003 new runs, 0 changed');
    expect(peak).toBeGreaterThan(50);
    expect(peak).toBeLessThan(800);
    expect(await linesOf([...large, 'small-7'])).toEqual([...large.map(() => 330_000), 5]);
  }); // prettier-ignore

  it('leave a server free to answer while a large one is read', async () => {
    await writeLog('2025-04-01', 'snapshot', { lines: 1, keys: 200_000 });
    const server = await connect({ home: home.path, env: env(), era: 'legacy' });
    let answers = 0;
    let waiting = true;
    // It waits for news for two seconds at the most, and the file takes longer.
    const first = server.call('search_action_runs', { limit: 1 }).finally(() => (waiting = false));
    while (waiting) {
      await (server.client as Client).ping();
      answers += 1;
    }
    expect((await first).isError).toBe(false);
    expect(answers).toBeGreaterThan(100);
    await until('the run', async () => !(await server.call('get_action_run', { run_id: 'snapshot' })).isError, 60_000);
    await server.close();
  }); // prettier-ignore
});
