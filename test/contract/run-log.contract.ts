import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Stream } from '../../src/runs/executor.ts';
import type { LogLine, LogQuery, LogSummary, RunLogs } from '../../src/runs/run-log.ts';

/** One kind of log store. Two stores at one place share its logs, as two processes would. */
export interface LogKind {
  name: string;
  place(): Promise<{ at: string; remove(): Promise<void> }>;
  connect(at: string, maxBytes: number): RunLogs;
  /** False: it takes no logs that others wrote. */
  imports?: false;
}

type Chunk = [Stream, string | Buffer];

const RUN = '01a00000-0000-7000-8000-000000000001';
const WIDE = 1 << 26;
const EVERYTHING: LogQuery = { mode: 'head', lines: 1_000_000, line: 1, stream: null, matches: null };
const same = (line: string): string => line;

export async function feed(
  logs: RunLogs,
  chunks: readonly Chunk[],
  { run = RUN, replay = false, clean = same, end = 'close' } = {},
): Promise<LogSummary | null> {
  const writer = await logs.open(run, { replay, clean });
  for (const [stream, chunk] of chunks) {
    if (!writer.write(stream, Buffer.from(chunk as string))) await writer.drain();
  }
  if (end === 'close') return writer.close();
  await writer.abandon();
  return null;
}

/** What every store of logs does, whatever it is made of. */
export function logContract(kind: LogKind): void {
  describe(`logs in ${kind.name}`, () => {
    let place: Awaited<ReturnType<LogKind['place']>>;
    const store = (maxBytes = WIDE): RunLogs => kind.connect(place.at, maxBytes);
    const lines = async (logs: RunLogs, query: Partial<LogQuery> = {}): Promise<LogLine[]> =>
      (await logs.read(RUN, { ...EVERYTHING, ...query }))?.lines ?? [];
    const texts = async (logs: RunLogs, stream: Stream | null = null): Promise<string[]> =>
      (await lines(logs, { stream })).map(({ text }) => text);
    beforeEach(async () => {
      place = await kind.place();
    });
    afterEach(() => place.remove());

    it('there is none before the first output', async () => {
      expect(await store().read(RUN, EVERYTHING)).toBeNull();
      expect(await store().ids()).toEqual([]);
    });

    it('it is deleted as a whole, and no other run loses its own', async () => {
      const logs = store(2_000);
      const other = `${RUN.slice(0, -1)}2`;
      const long = Array.from({ length: 500 }, (_, n) => `line ${n}\n`).join('');
      for (const run of [RUN, other]) await feed(logs, [['stdout', long]], { run });
      expect((await logs.ids()).sort()).toEqual([RUN, other]);
      expect(await logs.remove(RUN)).toBe(true);
      expect(await logs.read(RUN, EVERYTHING)).toBeNull();
      expect(await logs.remove(RUN)).toBe(false);
      expect((await logs.read(other, EVERYTHING))?.total_lines).toBe(500);
    });

    const whereItImports = kind.imports === false ? (): void => undefined : describe;
    whereItImports('put as a whole', () => {
      const output = (count: number): string =>
        Array.from({ length: count }, (_, n) => `line ${n} €\n`).join('');

      it('is as if it had been written, cleaned, and is never put twice', async () => {
        const clean = (line: string): string => line.replace('secret', '***');
        const logs = store();
        expect(
          await logs.put(
            RUN,
            [
              ['stdout', 'one\na secret'],
              ['stderr', 'more'],
            ],
            clean,
          ),
        ).toBe(true);
        expect(await lines(logs)).toEqual([
          { n: 1, stream: 'stdout', text: 'one' },
          { n: 2, stream: 'stdout', text: 'a ***' },
          { n: 3, stream: 'stderr', text: 'more' },
        ]);
        expect(await logs.put(RUN, [['stdout', 'other']], clean)).toBe(false);
        expect(await texts(logs)).toHaveLength(3);
        expect(await logs.ids()).toEqual([RUN]);
        expect(await logs.put(`${RUN.slice(0, -1)}2`, [['stdout', '']], clean)).toBe(false);
      });

      it.each([WIDE, 4_000])(
        'is read as a whole or not at all, whoever else puts it, within %i bytes',
        async (most) => {
          const whole = store(most);
          expect(await whole.put(RUN, [['stdout', output(20_000)]], same)).toBe(true);
          const expected = await whole.read(RUN, EVERYTHING);
          await whole.remove(RUN);
          let open = 4;
          const putting = Array.from({ length: 4 }, () =>
            store(most)
              .put(RUN, [['stdout', output(20_000)]], same)
              .finally(() => (open -= 1)),
          );
          const reader = store(most);
          while (open > 0) {
            const found = await reader.read(RUN, { ...EVERYTHING, mode: 'tail', lines: 1 });
            if (found) expect(found.total_lines).toBe(20_000);
          }
          expect((await Promise.all(putting)).filter(Boolean)).toHaveLength(1);
          expect(await reader.read(RUN, EVERYTHING)).toEqual(expected);
          expect(expected!.total_lines).toBe(20_000);
        },
      );
    });

    it('can be read at any moment while it is written and cut to its limit', async () => {
      const logs = store(4_000);
      let writing = true;
      const chunks = Array.from({ length: 3_000 }, (_, n): Chunk => ['stdout', `line number ${n}\n`]);
      const written = feed(logs, chunks).finally(() => (writing = false));
      const reader = store(4_000);
      for (let seen = 0; writing;) {
        const { total_lines = 0 } = (await reader.read(RUN, EVERYTHING)) ?? {};
        expect(total_lines).toBeGreaterThanOrEqual(seen);
        seen = total_lines;
      }
      await written;
      expect((await reader.read(RUN, EVERYTHING))?.total_lines).toBe(3_000);
    });

    it('lines are numbered over both streams, and the last needs no end', async () => {
      const logs = store();
      const summary = await feed(logs, [['stdout', 'one\ntw'], ['stderr', 'warn\n'], ['stdout', 'o\n\nthree'], ['stderr', 'more']]); // prettier-ignore
      expect(await lines(logs)).toEqual([
        { n: 1, stream: 'stdout', text: 'one' },
        { n: 2, stream: 'stderr', text: 'warn' },
        { n: 3, stream: 'stdout', text: 'two' },
        { n: 4, stream: 'stdout', text: '' },
        { n: 5, stream: 'stdout', text: 'three' },
        { n: 6, stream: 'stderr', text: 'more' },
      ]);
      expect(summary).toMatchObject({ lines: 6, bytes: 14 + 9, gap: null, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(await texts(logs, 'stderr')).toEqual(['warn', 'more']);
    }); // prettier-ignore

    it('every line is cleaned before it is stored', async () => {
      const logs = store();
      await feed(logs, [['stdout', 'sec'], ['stdout', 'ret\nplain\n']], { clean: (line) => line.replace('secret', '***') }); // prettier-ignore
      expect(await texts(logs)).toEqual(['***', 'plain']);
    });

    it('logs of other runs are other logs', async () => {
      const logs = store();
      await feed(logs, [['stdout', 'mine\n']]);
      await feed(logs, [['stdout', 'theirs\n']], { run: `${RUN.slice(0, -1)}2` });
      expect(await texts(logs)).toEqual(['mine']);
    });

    it('a writer that abandons leaves the partial line to the next', async () => {
      const logs = store();
      await feed(logs, [['stdout', 'one\ntw']], { end: 'abandon' });
      expect(await texts(logs)).toEqual(['one']);
      const summary = await feed(logs, [['stdout', 'one\ntwo\nthree\n']], { replay: true });
      expect(await texts(logs)).toEqual(['one', 'two', 'three']);
      expect(summary).toMatchObject({ lines: 3, bytes: 14, gap: null });
    });

    it('a line of more than 64 KiB is kept in pieces, with its bytes counted once', async () => {
      const logs = store();
      const long = `${'abcdefghi\t'.repeat(20_000)}end`;
      const summary = await feed(logs, [['stdout', long.slice(0, 99_999)], ['stdout', `${long.slice(99_999)}\nnext\n`]]); // prettier-ignore
      const stored = await texts(logs);
      expect(stored.at(-1)).toBe('next');
      expect(stored.slice(0, -1).join('')).toBe(long);
      for (const piece of stored) expect(piece.length).toBeLessThanOrEqual(64 * 1024);
      expect(summary!.bytes).toBe(long.length + 1 + 5);
      await feed(
        logs,
        [
          ['stdout', `${long}\nnext\n`],
          ['stdout', 'after\n'],
        ],
        { replay: true },
      );
      expect(await texts(logs)).toEqual([...stored, 'after']);
    });

    it('can be read by another while it is written, in whole lines', async () => {
      const [logs, reader] = [store(), store()];
      const writer = await logs.open(RUN, { replay: false, clean: same });
      for (let n = 1; n <= 50; n++) {
        writer.write('stdout', Buffer.from(`line ${n}\npart`));
        writer.write('stdout', Buffer.from('ial\n'));
        await writer.drain();
        const seen = (await reader.read(RUN, EVERYTHING))!;
        expect(seen.total_lines).toBe(2 * n);
        expect(seen.lines.at(-1)!.text).toBe('partial');
      }
      await writer.close();
    });

    describe('longer than its limit', () => {
      const count = 3_000;
      const text = (n: number): string => `this is line number ${String(n).padStart(6, '0')}`;
      const all = (from = 1): Chunk[] =>
        Array.from({ length: count + 1 - from }, (_, n) => ['stdout', `${text(n + from)}\n`]);

      it('keeps head and tail, and the gap between is exact', async () => {
        const logs = store(10_000);
        const summary = await feed(logs, all());
        const { lines: kept, gap, total_lines, matches } = (await logs.read(RUN, EVERYTHING))!;
        expect(total_lines).toBe(count);
        expect(matches).toBe(kept.length);
        expect(gap!.lines).toBe(count - kept.length);
        expect(gap!.bytes).toBe(gap!.lines * (text(1).length + 1));
        expect(gap!.cause).toBe('cap');
        expect(summary).toMatchObject({ lines: count, bytes: count * (text(1).length + 1) });
        expect(summary!.gap).toMatchObject({ lines: gap!.lines, bytes: gap!.bytes, cause: 'cap' });
        for (const line of kept) expect(line.text).toBe(text(line.n));
        const after = kept.filter(({ n }) => n > gap!.after_line);
        expect(kept[gap!.after_line - 1]!.n).toBe(gap!.after_line);
        expect(after[0]!.n).toBe(gap!.after_line + gap!.lines + 1);
        expect(kept.at(-1)!.n).toBe(count);
        const stored = kept.reduce((sum, line) => sum + line.text.length, 0);
        expect(stored).toBeGreaterThan(5_000);
        expect(stored).toBeLessThanOrEqual(10_000);
      });

      it('has no gap while nothing was dropped', async () => {
        const logs = store(10_000);
        expect((await feed(logs, all().slice(0, 150)))!.gap).toBeNull();
        expect((await logs.read(RUN, EVERYTHING))!.lines).toHaveLength(150);
      });

      it('is the same log after an adoption in the middle', async () => {
        const logs = store(10_000);
        await feed(logs, all());
        const whole = await logs.read(RUN, EVERYTHING);
        await place.remove();
        place = await kind.place();
        const again = store(10_000);
        await feed(again, all().slice(0, 1_700), { end: 'abandon' });
        const summary = await feed(store(10_000), all(), { replay: true });
        const adopted = (await again.read(RUN, EVERYTHING))!;
        expect(summary!.lines).toBe(count);
        expect(adopted.total_lines).toBe(whole!.total_lines);
        expect(adopted.lines.map(({ n, text: line }) => line === text(n))).not.toContain(false);
        expect(adopted.gap!.lines + adopted.lines.length).toBe(count);
      });
    });

    it('a replay whose beginning is another says that the engine lost output', async () => {
      const logs = store();
      await feed(logs, [['stdout', 'one\ntwo\nthree\n']], { end: 'abandon' });
      const summary = await feed(logs, [['stdout', 'three\nfour\n']], { replay: true });
      expect(summary!.gap).toMatchObject({ cause: 'engine' });
      expect((await texts(logs)).slice(0, 3)).toEqual(['one', 'two', 'three']);
      expect((await texts(logs)).at(-1)).toBe('four');
    });

    it('a replay that has nothing more adds nothing', async () => {
      const logs = store();
      const chunks: Chunk[] = [
        ['stdout', 'one\ntwo\n'],
        ['stderr', 'no end'],
      ];
      const first = await feed(logs, chunks);
      expect(await feed(logs, chunks, { replay: true })).toEqual(first);
      expect(await texts(logs)).toEqual(['one', 'two', 'no end']);
    });

    it('whatever the chunks and wherever it was cut: a replay loses nothing and doubles nothing', async () => {
      const line = fc.string({ unit: fc.constantFrom('a', 'ä', '\t', '€', ' ', '#', '\r', '\0'), maxLength: 12 });
      const output = fc.array(line, { maxLength: 20 }).map((all) => Buffer.from(all.join('\n')));
      const cuts = fc.array(fc.nat(300), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(output, output, cuts, cuts, fc.nat(24), fc.boolean(), async (out, err, first, second, upto, partial) => {
          const logs = store();
          const before = merge(chunked('stdout', out, first), chunked('stderr', err, first.toReversed())).slice(0, upto);
          const again = merge(chunked('stderr', err, second), chunked('stdout', out, second.toReversed()));
          await feed(logs, before, { end: partial ? 'abandon' : 'close' });
          // Closing stores what has no end yet as a line of its own, so only an abandoned log is replayed by adopters.
          if (partial) await feed(store(), again, { replay: true });
          const seen = partial ? again : before;
          for (const stream of ['stdout', 'stderr'] as const) {
            const bytes = Buffer.concat(seen.flatMap(([of, chunk]) => (of === stream ? [chunk as Buffer] : [])));
            expect(await texts(logs, stream)).toEqual(linesOf(bytes));
          }
          await place.remove();
          place = await kind.place();
        }),
        { numRuns: 150 },
      );
    }); // prettier-ignore
  });
}

function linesOf(bytes: Buffer): string[] {
  const all = bytes.toString('utf8').split('\n');
  return all.at(-1) === '' ? all.slice(0, -1) : all;
}

function chunked(stream: Stream, bytes: Buffer, cuts: readonly number[]): Chunk[] {
  const at = [...new Set(cuts.map((cut) => Math.min(cut, bytes.length)))].sort((a, b) => a - b);
  const borders = [0, ...at, bytes.length];
  return borders.slice(1).map((end, n) => [stream, bytes.subarray(borders[n], end)]);
}

function merge(a: readonly Chunk[], b: readonly Chunk[]): Chunk[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, n) => [a[n], b[n]])
    .flat()
    .filter((chunk): chunk is Chunk => chunk !== undefined);
}
