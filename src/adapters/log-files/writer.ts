import { createHash } from 'node:crypto';
import type { Stream } from '../../runs/executor.ts';
import type { CleanOutput, LogGap, LogSummary, RunLogWriter } from '../../runs/run-log.ts';
import type { Appender } from './appender.ts';
import { START, type Position } from './format.ts';
import { bytesOf, scanLog, type Segment } from './files.ts';
import { createLineSplitter } from './line-splitter.ts';

interface WriterOptions {
  head: string;
  appender: Appender;
  replay: boolean;
  clean: CleanOutput;
}

/** Feeds an appender from raw output; in a replay it first passes over what is stored already. `end` closes without a summary. */
export function createLogWriter({
  head,
  appender,
  replay,
  clean,
}: WriterOptions): RunLogWriter & { end(): Promise<void> } {
  const resumed = { ...appender.position };
  const skip: Record<Stream, number> = replay
    ? { stdout: resumed.stdout, stderr: resumed.stderr }
    : { ...START };
  const checked: Record<Stream, boolean> = { stdout: false, stderr: false };
  let headLost = false;

  const splitter = createLineSplitter((bytes, { stream, raw, continues }) => {
    const text = clean(bytes.toString('utf8'), { stream, continues });
    if (replay && !checked[stream]) {
      checked[stream] = true;
      // Another first line means that the engine's own log was rotated: then nothing is passed over.
      if (skip[stream] > 0 && appender.first[stream] !== text) {
        headLost = true;
        skip[stream] = 0;
      }
    }
    if (skip[stream] > 0) skip[stream] -= raw;
    else appender.add(stream, raw, text);
  });

  const end = async (): Promise<void> => {
    splitter.flush();
    await appender.close();
  };
  return {
    end,
    write(stream, chunk) {
      splitter.push(stream, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      return !appender.full;
    },
    drain: () => appender.flush(),
    abandon: () => appender.close(),
    async close() {
      await end();
      return summarize(head, appender, headLost);
    },
  };
}

async function summarize(head: string, appender: Appender, headLost: boolean): Promise<LogSummary> {
  const { segments, sha256 } = await digestOf(head);
  const { lines, stdout, stderr } = appender.position;
  return { lines, bytes: stdout + stderr, sha256, gap: gapOf(segments) ?? lossOf(appender, headLost) };
}

async function digestOf(head: string): Promise<{ segments: Segment[]; sha256: string }> {
  const hash = createHash('sha256');
  for await (const chunk of bytesOf(head)) hash.update(chunk);
  const segments = await scanLog(head);
  return { segments, sha256: hash.digest('hex') };
}

function lossOf({ lost }: Appender, headLost: boolean): LogGap | null {
  if (lost.lines > 0) return { ...lost, cause: 'store' };
  return headLost ? { lines: 0, bytes: 0, cause: 'engine' } : null;
}

/** What lies between the end of the head and the first kept segment of the tail. */
export function gapOf(
  segments: readonly Pick<Segment, 'number' | 'start' | 'end'>[],
): (LogGap & { after_line: number }) | null {
  const [head, next] = segments;
  if (!head || !next || next.number === head.number + 1) return null;
  const between = (of: (position: Position) => number): number => of(next.start) - of(head.end);
  return {
    lines: between((position) => position.lines),
    bytes: between((position) => position.stdout + position.stderr),
    cause: 'cap',
    after_line: head.end.lines,
  };
}
