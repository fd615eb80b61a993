import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';

/** No following of links, no waiting for the other end of a pipe. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export type ReadResult =
  { outcome: 'read'; bytes: Uint8Array; stats: BigIntStats } | { outcome: 'not_a_file' | 'too_large' };

/** Reads a regular file of at most `max` bytes; links, pipes and devices are never opened. Throws on I/O errors. */
export async function readRegular(path: string, max: number): Promise<ReadResult> {
  const seen = await lstat(path);
  if (!seen.isFile()) return { outcome: 'not_a_file' };
  const handle = await open(path, FLAGS);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) return { outcome: 'not_a_file' };
    if (stats.size > max) return { outcome: 'too_large' };
    const bytes = await readUpTo(handle, Number(stats.size), max);
    return bytes ? { outcome: 'read', bytes, stats } : { outcome: 'too_large' };
  } finally {
    await handle.close();
  }
}

/** The file may grow while it is read: one byte more than the limit is asked for, never more. */
async function readUpTo(handle: FileHandle, size: number, max: number): Promise<Uint8Array | null> {
  let buffer = Buffer.allocUnsafe(Math.min(size, max) + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > max) return null;
    if (length === buffer.length) buffer = Buffer.concat([buffer], Math.min(max + 1, buffer.length * 2 + 64));
  }
}
