import { createHash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogFiles } from '../../src/adapters/log-files/index.ts';
import type { LogQuery, RunLogs } from '../../src/runs/run-log.ts';
import { tempFolder } from '../support/mcp.ts';
import { feed, logContract, type LogKind } from './run-log.contract.ts';

const files: LogKind = {
  name: 'files',
  async place() {
    const { path, remove } = await tempFolder('logs');
    return { at: path, remove };
  },
  connect: (at, maxBytes) => createLogFiles({ home: at, maxBytes }),
};

logContract(files);

describe('the files', () => {
  const RUN = '01a00000-0000-7000-8000-000000000009';
  const EVERYTHING: LogQuery = { mode: 'head', lines: 10_000, line: 1, stream: null, matches: null };
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let logs: RunLogs;
  let head: string;
  beforeEach(async () => {
    home = await tempFolder('logs');
    logs = createLogFiles({ home: home.path, maxBytes: 6_000 });
    head = join(home.path, 'logs', RUN.slice(0, 6), `${RUN}.log`);
  });
  afterEach(() => home.remove());

  const texts = async (): Promise<string[]> =>
    (await logs.read(RUN, EVERYTHING))!.lines.map(({ text }) => text);

  it.each(['', '#{"lines":12'])(
    'a file that its writer had only begun (%j) changes nothing',
    async (torn) => {
      const output = Array.from({ length: 400 }, (_, n) => `line number ${n}\n`);
      await feed(logs, [['stdout', output.slice(0, 300).join('')]], { run: RUN, end: 'abandon' });
      const last = Math.max(
        ...(await readdir(dirname(head))).map((name) => Number(name.split('.log.')[1] ?? 0)),
      );
      expect(last).toBeGreaterThan(0);
      await writeFile(`${head}.${last + 1}`, torn);
      expect(await logs.read(RUN, EVERYTHING)).toMatchObject({ total_lines: 300 });
      await feed(logs, [['stdout', output.join('')]], { run: RUN, replay: true });
      expect(await logs.read(RUN, EVERYTHING)).toMatchObject({ total_lines: 400 });
      expect((await texts()).at(-1)).toBe('line number 399');
    },
  );

  it('a torn last line is passed over by readers and cut off by the next writer', async () => {
    await feed(logs, [['stdout', 'one\ntwo\nthree\n']], { run: RUN, end: 'abandon' });
    for (const lost of [1, 2, 3]) {
      await truncate(head, (await stat(head)).size - lost);
      expect(await texts()).toEqual(['one', 'two']);
      const summary = await feed(logs, [['stdout', 'one\ntwo\nthree\n']], { run: RUN, replay: true });
      expect(await texts()).toEqual(['one', 'two', 'three']);
      expect(summary).toMatchObject({ lines: 3, bytes: 14, gap: null });
    }
    await appendFile(head, 'o12\tnot end');
    expect(await texts()).toEqual(['one', 'two', 'three']);
  });

  it('a torn header of a tail segment is passed over', async () => {
    const output = Array.from({ length: 200 }, (_, n) => `line number ${n}`).join('\n');
    await feed(logs, [['stdout', output.slice(0, 2_900)]], { run: RUN, end: 'abandon' });
    await writeFile(`${head}.1`, '#{"lines":1');
    await feed(logs, [['stdout', output]], { run: RUN, replay: true });
    const { lines, total_lines, gap } = (await logs.read(RUN, EVERYTHING))!;
    expect(total_lines).toBe(200);
    expect(lines.length + (gap?.lines ?? 0)).toBe(200);
    for (const { n, text } of lines) expect(text).toBe(`line number ${n - 1}`);
  });

  it.each(['x', '€', '\u0007'])(
    'stay within the limit at every instant, filled with %j',
    async (character) => {
      const writer = await logs.open(RUN, { replay: false, clean: (line) => line });
      for (let n = 0; n < 1_000; n++) {
        writer.write('stdout', Buffer.from(`${character.repeat(n % 90)}\n`));
        if (n % 20 === 0) {
          await writer.drain();
          const names = await readdir(join(home.path, 'logs', RUN.slice(0, 6)));
          const sizes = await Promise.all(
            names.map(async (name) => (await stat(join(head, '..', name))).size),
          );
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(6_000);
        }
      }
      await writer.close();
    },
  );

  it('are only for their owner', async () => {
    await feed(logs, [['stdout', 'one\n']], { run: RUN });
    expect((await stat(head)).mode & 0o077).toBe(0);
    expect((await stat(join(head, '..'))).mode & 0o077).toBe(0);
  });

  it('have the digest of their bytes', async () => {
    const summary = await feed(logs, [['stdout', 'one\ntwo'], ['stderr', 'x']], { run: RUN });
    expect(summary!.sha256).toBe(createHash('sha256').update(await readFile(head)).digest('hex'));
  }); // prettier-ignore

  it('a folder that is none is an error before anything is started', async () => {
    await mkdir(join(home.path, 'logs'), { recursive: true });
    await writeFile(join(home.path, 'logs', RUN.slice(0, 6)), 'a file where the folder should be');
    await expect(feed(logs, [['stdout', 'one\ntwo\n']], { run: RUN })).rejects.toMatchObject({
      code: 'ENOTDIR',
    });
  });
});
