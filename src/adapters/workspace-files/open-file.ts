import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { codeOf } from '../../shared/errors.ts';

/** No following of links, no waiting for the other end of a pipe. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export type ReadResult =
  { outcome: 'read'; bytes: Uint8Array; stats: BigIntStats } | { outcome: 'not_a_file' | 'too_large' };

/** Reads a regular file of at most `max` bytes; links, pipes and devices are never opened. Throws on I/O errors. */
export async function readRegular(path: string, max: number): Promise<ReadResult> {
  const handle = await openOrNull(path);
  if (handle === null) return { outcome: 'not_a_file' };
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

/** The same for a thread that nobody waits for: several times faster, as no other thread is asked. */
export function readRegularSync(path: string, max: number): ReadResult {
  let descriptor: number;
  try {
    descriptor = openSync(path, FLAGS);
  } catch (error) {
    if (['ELOOP', 'ENXIO'].includes(codeOf(error) ?? '')) return { outcome: 'not_a_file' };
    throw error;
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    if (!stats.isFile()) return { outcome: 'not_a_file' };
    if (stats.size > max) return { outcome: 'too_large' };
    const bytes = readFileSync(descriptor);
    return bytes.length > max ? { outcome: 'too_large' } : { outcome: 'read', bytes, stats };
  } finally {
    closeSync(descriptor);
  }
}

/** Null for links (ELOOP), and for sockets and devices without a driver (ENXIO). */
async function openOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, FLAGS);
  } catch (error) {
    if (['ELOOP', 'ENXIO'].includes(codeOf(error) ?? '')) return null;
    throw error;
  }
}

/** One byte more than expected is asked for: a short answer is the end, and a file that grows is noticed. */
async function readUpTo(handle: FileHandle, size: number, max: number): Promise<Uint8Array | null> {
  let buffer = Buffer.allocUnsafe(Math.min(size, max) + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    length += bytesRead;
    if (length > max) return null;
    if (length < buffer.length) return buffer.subarray(0, length);
    buffer = Buffer.concat([buffer], Math.min(max + 1, buffer.length * 2 + 64));
  }
}
