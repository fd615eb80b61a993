import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogFiles } from '../../src/adapters/log-files/index.ts';
import type { Stream } from '../../src/runs/executor.ts';
import { fillLedger, mintId } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';

const ids = { short: mintId(), long: mintId(), capped: mintId(), wide: mintId(), ansible: mintId(), none: mintId(), script: mintId() }; // prettier-ignore

const ANSIBLE = `PLAY [databases] ****************************************************

TASK [Look at the service] ******************************************
ok: [db-1]
ok: [db-2]

TASK [Restart postgresql] *******************************************
changed: [db-1]
fatal: [db-2]: FAILED! => changed=false
  msg: 'Could not find the requested service postgresql: host'

TASK [Tell somebody] ************************************************
ok: [db-1]

RUNNING HANDLER [reload] ********************************************
failed: [db-1] (item=one) => {"msg": "no such item"}

PLAY RECAP **********************************************************
db-1                       : ok=3    changed=1    failed=1
db-2                       : ok=1    changed=0    failed=1`;

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  home = await tempFolder('home');
  await fillLedger(
    home.path,
    Object.values(ids).map((id) => ({ id, requested_at: Date.UTC(2026, 8, 1) })),
  );
  const range = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);
  await log(ids.short, [['stdout', 'one\ntwo\nthree\n'], ['stderr', 'Warning: four\n']]); // prettier-ignore
  await log(
    ids.long,
    range(5_000).map((n) => [n % 10 === 0 ? 'stderr' : 'stdout', `line ${n} of many\n`]),
  );
  await log(ids.capped, range(2_000).map((n) => ['stdout', `number ${n}\n`]), 6_000); // prettier-ignore
  await log(ids.wide, range(30).map((n) => ['stdout', `${n}:${'w'.repeat(2_500)}\n`])); // prettier-ignore
  await log(ids.ansible, [['stdout', ANSIBLE]]);
  await log(ids.script, range(80).map((n) => ['stdout', `step ${n}\n`])); // prettier-ignore
  server = await connect({ home: home.path });
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

async function log(id: string, chunks: [Stream, string][], maxBytes = 1 << 24): Promise<void> {
  const writer = await createLogFiles({ home: home.path, maxBytes }).open(id, {
    replay: false,
    clean: (line) => line,
  });
  for (const [stream, text] of chunks) {
    if (!writer.write(stream, Buffer.from(text))) await writer.drain();
  }
  await writer.close();
}

const read = async (run_id: string, args: Record<string, unknown> = {}): Promise<any> => {
  const { isError, error, data } = await server.call('read_action_run_log', { run_id, ...args });
  if (isError) throw new Error(JSON.stringify(error));
  return data;
};
const numbers = (answer: any): number[] => answer.lines.map(({ n }: any) => n);
const texts = (answer: any): string[] => answer.lines.map(({ text }: any) => text);

it('a short log comes whole', async () => {
  expect(await read(ids.short)).toEqual({
    run_id: ids.short,
    lines: [
      { n: 1, stream: 'stdout', text: 'one' },
      { n: 2, stream: 'stdout', text: 'two' },
      { n: 3, stream: 'stdout', text: 'three' },
      { n: 4, stream: 'stderr', text: 'Warning: four' },
    ],
    total_lines: 4,
    matches: 4,
    truncated: false,
    next: null,
  });
});

it('a run without a log has no lines', async () => {
  expect(await read(ids.none)).toMatchObject({ lines: [], total_lines: 0, matches: 0, truncated: false });
});

describe('a long log', () => {
  it('shows its end by default, and how to see what is before', async () => {
    const answer = await read(ids.long);
    expect(numbers(answer)).toEqual(Array.from({ length: 100 }, (_, n) => n + 4_901));
    expect(answer).toMatchObject({ total_lines: 5_000, matches: 5_000, truncated: true });
    expect(answer.next).toBe("mode: 'from', line: 4801 for what is before");
  });

  it('shows its beginning, and goes on from a line without gap', async () => {
    const head = await read(ids.long, { mode: 'head', lines: 50 });
    expect(numbers(head)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(head.next).toBe("mode: 'from', line: 51");
    const from = await read(ids.long, { mode: 'from', line: 51, lines: 3 });
    expect(numbers(from)).toEqual([51, 52, 53]);
    const end = await read(ids.long, { mode: 'from', line: 4_999 });
    expect(numbers(end)).toEqual([4_999, 5_000]);
    expect(end.next).toBeNull();
    expect(numbers(await read(ids.long, { mode: 'from', line: 6_000 }))).toEqual([]);
  });

  it('greps with exact numbers of matches, and pages through them', async () => {
    const first = await read(ids.long, { mode: 'grep', pattern: 'LINE \\d+00 of', lines: 20 });
    expect(first.matches).toBe(50);
    expect(numbers(first)).toEqual(Array.from({ length: 20 }, (_, n) => (n + 1) * 100));
    expect(first).toMatchObject({ truncated: true, next: "mode: 'grep', line: 2001 for further matches" });
    const second = await read(ids.long, { mode: 'grep', pattern: 'LINE \\d+00 of', lines: 50, line: 2_001 });
    expect(numbers(second)).toEqual(Array.from({ length: 30 }, (_, n) => (n + 21) * 100));
    expect(second.next).toBeNull();
    const none = await read(ids.long, { mode: 'grep', pattern: 'nowhere' });
    expect(none).toMatchObject({ lines: [], matches: 0, truncated: false, next: null });
  });

  it('shows one stream alone', async () => {
    const answer = await read(ids.long, { stream: 'stderr', lines: 3 });
    expect(numbers(answer)).toEqual([4_980, 4_990, 5_000]);
    expect(answer).toMatchObject({ matches: 500, total_lines: 5_000 });
  });

  it('can be read to its end by following next', async () => {
    const seen: number[] = [];
    let next: string | null = "mode: 'from', line: 1";
    while (next !== null) {
      const line = Number(/line: (\d+)/.exec(next)![1]);
      const answer: any = await read(ids.long, { mode: 'from', line, lines: 1_000 });
      seen.push(...numbers(answer));
      next = answer.next;
    }
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, n) => n + 1));
  });

  it('matches in linear time, whatever the pattern', async () => {
    const began = performance.now();
    await read(ids.long, { mode: 'grep', pattern: '(a+)+(a+)+(l|li|lin)*$' });
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

it('a capped log has its head, its tail, and says what is missing between', async () => {
  const head = await read(ids.capped, { mode: 'head' });
  const { gap, total_lines } = head;
  expect(total_lines).toBe(2_000);
  expect(gap).toMatchObject({ cause: 'cap' });
  expect(head.truncated).toBe(true);
  const all = numbers(await read(ids.capped, { mode: 'from', line: 1, lines: 1_000 }));
  const cut = all.findIndex((n, index) => n !== index + 1);
  expect(cut).toBe(gap.after_line);
  expect(all[cut]! - cut - 1).toBe(gap.lines);
  expect(all.at(-1)).toBe(2_000);
  expect(all.length + gap.lines).toBe(2_000);
  const tail = await read(ids.capped, { lines: 2 });
  expect(texts(tail)).toEqual(['number 1999', 'number 2000']);
});

it('long lines and long answers are cut, visibly', async () => {
  for (const mode of ['tail', 'head']) {
    const server_answer = await server.call('read_action_run_log', { run_id: ids.wide, mode });
    expect(server_answer.characters / 4).toBeLessThan(6_000);
    const { lines, truncated, next } = server_answer.data;
    expect(lines[0].text).toMatch(/… \(25\d\d characters\)$/);
    expect(truncated).toBe(true);
    expect(next).toMatch(/^mode: 'from'/);
    expect(mode === 'tail' ? lines.at(-1).n : lines[0].n).toBe(mode === 'tail' ? 30 : 1);
  }
});

describe('failed_task_only', () => {
  it('shows the tasks in which a host failed, with their messages', async () => {
    const answer = await read(ids.ansible, { failed_task_only: true });
    const shown = texts(answer).join('\n');
    expect(shown).toContain('TASK [Restart postgresql]');
    expect(shown).toContain('Could not find the requested service');
    expect(shown).toContain('RUNNING HANDLER [reload]');
    expect(shown).toContain('no such item');
    expect(shown).not.toContain('Look at the service');
    expect(shown).not.toContain('Tell somebody');
    expect(shown).not.toContain('PLAY RECAP');
    expect(numbers(answer)[0]).toBe(7);
    expect(answer.next).toBeNull();
    expect(answer.summary).toBe(
      'task "Restart postgresql" failed on db-2: Could not find the requested service postgresql: host (and 1 more); 2 hosts; failed: db-1, db-2; changed: db-1',
    );
    expect(answer.ansible).toMatchObject({ hosts: 2, changed: ['db-1'], failures: [{ n: 9 }, { n: 16 }] });
  });

  it('shows the end of a script, which has no tasks', async () => {
    const answer = await read(ids.script, { failed_task_only: true });
    expect(texts(answer)).toEqual(Array.from({ length: 30 }, (_, n) => `step ${n + 51}`));
    expect(answer).not.toHaveProperty('ansible');
  });
});

it.each([
  [{ mode: 'grep' }, 'pattern', 'tail'],
  [{ mode: 'grep', pattern: '(' }, 'pattern', 'escape'],
  [{ mode: 'grep', pattern: 'a(?=b)' }, 'pattern', 'look-arounds'],
  [{ mode: 'last' }, 'mode', 'mode'],
  [{ lines: 0 }, 'lines', 'lines'],
  [{ lines: 1_001 }, 'lines', 'lines'],
  [{ line: 0 }, 'line', 'line'],
  [{ stream: 'stdin' }, 'stream', 'stream'],
])('%j is refused with what helps', async (args, named, next) => {
  const { error } = await server.call('read_action_run_log', { run_id: ids.short, ...args });
  expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(named) });
  expect(error!.next).toContain(next);
});
