import fc from 'fast-check';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createDemultiplexer } from '../../src/adapters/docker/demultiplex.ts';
import { createLogMeter, mayHaveLostHead } from '../../src/adapters/docker/log-meter.ts';
import { pump } from '../../src/adapters/docker/pump.ts';
import { createTally } from '../../src/adapters/docker/tally.ts';
import { type Stream } from '../../src/runs/executor.ts';

type Frame = { stream: Stream; bytes: Uint8Array };

function encode(frames: readonly Frame[]): Buffer {
  return Buffer.concat(
    frames.map(({ stream, bytes }) => {
      const header = Buffer.alloc(8);
      header[0] = stream === 'stderr' ? 2 : 1;
      header.writeUInt32BE(bytes.length, 4);
      return Buffer.concat([header, bytes]);
    }),
  );
}

const joined = (frames: readonly Frame[], stream: Stream): Buffer =>
  Buffer.concat(frames.filter((frame) => frame.stream === stream).map(({ bytes }) => bytes));

const aFrame = fc.record({
  stream: fc.constantFrom<Stream>('stdout', 'stderr'),
  bytes: fc.uint8Array({ maxLength: 40 }),
});

describe('demultiplexer', () => {
  it('gives every byte to its stream, wherever chunks break', () => {
    fc.assert(
      fc.property(
        fc.array(aFrame, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 30 })),
        (frames, cuts) => {
          const got: Frame[] = [];
          const feed = createDemultiplexer((stream, bytes) => void got.push({ stream, bytes }));
          const wire = encode(frames);
          for (let at = 0, i = 0; at < wire.length; i++) {
            const size = cuts[i % Math.max(cuts.length, 1)] ?? 7;
            feed(wire.subarray(at, at + size));
            at += size;
          }
          expect(joined(got, 'stdout')).toEqual(joined(frames, 'stdout'));
          expect(joined(got, 'stderr')).toEqual(joined(frames, 'stderr'));
        },
      ),
    );
  });

  it('hands on views of the chunk instead of copies', () => {
    const wire = encode([{ stream: 'stdout', bytes: Buffer.from('abc') }]);
    const got: Uint8Array[] = [];
    createDemultiplexer((_stream, bytes) => void got.push(bytes))(wire);
    expect(got[0]?.buffer).toBe(wire.buffer);
  });
});

describe('tally', () => {
  it('hands every byte over exactly once, however often the log is read again', () => {
    fc.assert(
      fc.property(fc.array(aFrame, { maxLength: 10 }), fc.array(fc.nat({ max: 12 })), (frames, breaks) => {
        const got: Frame[] = [];
        const tally = createTally({
          write: (stream, bytes) => {
            got.push({ stream, bytes });
            return true;
          },
        });
        for (const [round, count] of [...breaks, frames.length].entries()) {
          const write = round === 0 ? tally.write : tally.replay();
          for (const { stream, bytes } of frames.slice(0, count)) write(stream, bytes);
        }
        expect(joined(got, 'stdout')).toEqual(joined(frames, 'stdout'));
        expect(joined(got, 'stderr')).toEqual(joined(frames, 'stderr'));
        expect(tally.incomplete()).toBe(false);
      }),
    );
  });

  it('notices that a log has lost its beginning, and hands over what is left', () => {
    const got: string[] = [];
    const tally = createTally({
      write: (_stream, bytes) => {
        got.push(Buffer.from(bytes).toString());
        return true;
      },
    });
    tally.write('stdout', Buffer.from('line 1\nline 2\n'));
    const write = tally.replay();
    write('stdout', Buffer.from('Line 7\n'));
    write('stdout', Buffer.from('Line 8\n'));
    expect(got).toEqual(['line 1\nline 2\n', 'Line 7\n', 'Line 8\n']);
    expect(tally.incomplete()).toBe(true);
  });
});

describe('pump', () => {
  const signal = new AbortController().signal;

  it('reads nothing while there is no room', async () => {
    const stream = new PassThrough();
    const seen: string[] = [];
    let makeRoom = (): void => undefined;
    const room = new Promise<'room'>((resolve) => (makeRoom = () => resolve('room')));
    const done = pump(stream, (chunk) => void seen.push(String(chunk)) === null, {
      room: () => room,
      signal,
    });
    stream.write('a');
    stream.write('b');
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual(['a']);
    makeRoom();
    stream.end();
    expect(await done).toBe('end');
    expect(seen).toEqual(['a', 'b']);
  });

  it.each([
    ['stalled', 'stalled'],
    ['failed', 'given up'],
  ] as const)('closes the stream when room is %s', async (answer, outcome) => {
    const stream = new PassThrough();
    const done = pump(stream, () => false, { room: async () => answer, signal });
    stream.write('a');
    expect(await done).toBe(outcome);
    expect(stream.destroyed).toBe(true);
  });

  it('tells a broken stream, a failing sink and an order to stop apart', async () => {
    const room = async () => 'room' as const;
    const broken = new PassThrough();
    const afterBreak = pump(broken, () => true, { room, signal });
    broken.destroy(new Error('connection reset'));
    expect(await afterBreak).toBe('broken');

    const failing = new PassThrough();
    const afterFailure = pump(
      failing,
      () => {
        throw new Error('disk full');
      },
      { room, signal },
    );
    failing.write('a');
    expect(await afterFailure).toBe('given up');

    const stop = new AbortController();
    const ordered = pump(new PassThrough(), () => true, { room, signal: stop.signal });
    stop.abort();
    expect(await ordered).toBe('given up');
  });
});

describe('log meter', () => {
  it('estimates the stored size of lines as the engine writes them', () => {
    const meter = createLogMeter();
    const text = 'TASK [restart] "x" <&> \u001b[0m\n';
    meter.add(Buffer.from(text));
    const log = JSON.stringify(text).replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
    const stored = `{"log":${log},"stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}\n`;
    expect(Math.abs(meter.stored() - stored.length)).toBeLessThanOrEqual(3);
  });

  it.each([
    [1000, { 'max-size': '300', 'max-file': '5' }, false],
    [1200, { 'max-size': '300', 'max-file': '5' }, true],
    [9e9, {}, false],
    [9e9, undefined, false],
  ])('%i bytes under %j: may be without its beginning: %s', (stored, config, expected) => {
    expect(mayHaveLostHead(stored, config)).toBe(expected);
  });
});
