import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { headFile } from '../../src/adapters/log-files/files.ts';
import { encodeLine } from '../../src/adapters/log-files/format.ts';
import { fillLedger, mintId } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';

const LINES = 2_000_000;
const [HUGE, BINARY] = [mintId(), mintId()];

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  home = await tempFolder('home');
  const requested_at = Date.UTC(2026, 8, 1);
  await fillLedger(home.path, [
    { id: HUGE, requested_at },
    { id: BINARY, requested_at },
  ]);
  await write(HUGE, lines());
  await write(BINARY, binary());
  server = await connect({ home: home.path });
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

/** As the store itself writes it. */
async function write(id: string, texts: Iterable<string>): Promise<void> {
  const file = headFile(home.path, id);
  await mkdir(dirname(file), { recursive: true });
  const stream = createWriteStream(file);
  let piece = '';
  for (const text of texts) {
    piece += encodeLine('stdout', text.length + 1, text);
    if (piece.length < 1_000_000) continue;
    if (!stream.write(piece)) await once(stream, 'drain');
    piece = '';
  }
  stream.end(piece);
  await finished(stream);
}

/** A playbook whose task says very much; one host fails at its middle. */
function* lines(): Generator<string> {
  yield 'TASK [Copy very much] ***********';
  for (let n = 2; n <= LINES; n += 1) {
    if (n === LINES / 2) yield 'fatal: [db-2]: FAILED! => {"msg": "disk full"}';
    else yield n % 1_000 === 0 ? `ok: [db-1] => marker ${n}` : `changed: [db-1] => file ${n} of many`;
  }
}

function* binary(): Generator<string> {
  for (let n = 1; n <= 500; n += 1) yield `${String.fromCharCode(n % 32 === 10 ? 11 : n % 32)}\ufffd\u0085\ud800${n}\u202e`;
} // prettier-ignore

/** Megabytes, at the most since it was started. */
function peak(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;
}

const read = async (run_id: string, args: Record<string, unknown>): Promise<any> => {
  const answer = await server.call('read_action_run_log', { run_id, ...args }, { timeout: 300_000 });
  expect(answer.error).toBeNull();
  expect(answer.characters / 4).toBeLessThan(20_000);
  return answer.data;
};

it('two million lines are searched with exact totals, and their failure is found, in bounded memory', async () => {
  const before = peak();
  const found = await read(HUGE, { mode: 'grep', pattern: 'MARKER \\d+$', lines: 5 });
  expect(found).toMatchObject({ total_lines: LINES, matches: LINES / 1_000 - 1, truncated: true });
  expect(found.lines.map(({ n }: any) => n)).toEqual([1_000, 2_000, 3_000, 4_000, 5_000]);
  const late = await read(HUGE, { mode: 'grep', pattern: 'file|marker', line: LINES - 1, lines: 10 });
  expect(late.lines.map(({ n }: any) => n)).toEqual([LINES - 1, LINES]);
  const failed = await read(HUGE, { failed_task_only: true });
  expect(failed.lines.map(({ n }: any) => n)).toEqual([1, LINES / 2]);
  expect(failed.summary).toContain('task "Copy very much" failed on db-2: disk full');
  // The log is 70 MB; so much may be garbage that was not collected yet.
  expect(peak() - before).toBeLessThan(250);
}, 600_000);

it.each(['(a|aa)+$', '(x+x+)+y', '(.*)*(.*)*z', '(?:\\w+\\s?)+$', '[^ ]{1,900}{1,2}', '\\x00', '.', '\\p{L}+'])(
  'the pattern %s ends over bytes that are no text, or is refused',
  async (pattern) => {
    const { isError, error, data } = await server.call('read_action_run_log', { run_id: BINARY, mode: 'grep', pattern });
    if (isError) expect(error).toMatchObject({ code: 'invalid_argument', next: expect.any(String) });
    else expect(data).toMatchObject({ total_lines: 500, matches: expect.any(Number) });
    expect(JSON.stringify(data ?? error)).not.toMatch(/\\u0000|\u202e/);
  },
); // prettier-ignore
