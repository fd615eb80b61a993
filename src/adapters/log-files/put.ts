import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { codeOf } from '../../shared/errors.ts';
import type { RunLogs } from '../../runs/run-log.ts';
import { openAppender } from './appender.ts';
import { headFile, segmentFile, segmentsOf } from './files.ts';
import { createLogWriter } from './writer.ts';

/** Cleaned at once; calls are answered in between. */
const PIECE = 64 * 1024;
/** Whoever wrote a draft is gone by then. */
const ABANDONED_MS = 3_600_000;

/** Logs that are known as a whole: written as drafts in a folder of their own, then put into their place. */
export function createPut({ home, maxBytes }: { home: string; maxBytes: number }): RunLogs['put'] {
  const drafts = join(home, 'logs', 'drafts');
  let swept: Promise<void> | null = null;
  return async (run_id, output, clean) => {
    const head = headFile(home, run_id);
    if (await exists(head)) return false;
    await (swept ??= sweep(drafts));
    const draft = join(drafts, randomUUID());
    try {
      const appender = await openAppender(draft, maxBytes);
      const writer = createLogWriter({ head: draft, appender, replay: false, clean });
      for (const [stream, text] of output) {
        for (let at = 0; at < text.length; ) {
          const end = endOfPiece(text, at);
          if (!writer.write(stream, Buffer.from(text.slice(at, end)))) await writer.drain();
          at = end;
          await turn();
        }
      }
      await writer.end();
      if (appender.lost.lines > 0) throw new Error('the disk did not take a whole log');
      return await publish(draft, head);
    } finally {
      for (const number of await segmentsOf(draft)) await rm(segmentFile(draft, number), { force: true });
    }
  };
} // prettier-ignore

/** Never between the halves of a surrogate pair, which alone are no text. */
function endOfPiece(text: string, at: number): number {
  const end = at + PIECE;
  if (end >= text.length) return text.length;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end + 1 : end;
}

/** The head last, and only where there is none: with it the log is there. */
async function publish(draft: string, head: string): Promise<boolean> {
  const [first, ...tail] = await segmentsOf(draft);
  if (first === undefined) return false;
  await mkdir(dirname(head), { recursive: true, mode: 0o700 });
  // Who writes the same log meanwhile has the same tail.
  for (const number of tail) await rename(segmentFile(draft, number), segmentFile(head, number));
  try {
    await link(draft, head);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (!NO_LINKS.has(codeOf(error) ?? '')) throw error;
    await rename(draft, head);
    return true;
  }
}

/** File systems that know no second name of a file. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** What killed processes left. */
async function sweep(drafts: string): Promise<void> {
  const names = await readdir(drafts).catch(() => []);
  for (const name of names) {
    const path = join(drafts, name);
    const stats = await lstat(path).catch(() => null);
    if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}
