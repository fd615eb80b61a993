import { createHash } from 'node:crypto';
import { constants, mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, AppError } from '../../shared/errors.ts';
import { createOneByOne } from '../../shared/one-by-one.ts';
import type { LogPieces, PieceSize } from '../../runs/run-log.ts';
import { headFile, segmentFile, segmentsOf } from './files.ts';
import { isLine } from './format.ts';
import { LONGEST_LINE } from './line-splitter.ts';

/** While a log is copied it may have a piece more than the original. */
const SLACK = 2;

/** The files of logs as they are, for a copy of them in another folder. */
export function createLogPieces({ home, maxBytes }: { home: string; maxBytes: number }): LogPieces {
  const fileOf = (run_id: string, piece: number): string => segmentFile(headFile(home, run_id), piece);
  const measured = async (run_id: string, measure: Measure): Promise<PieceSize[]> => {
    const numbers = await segmentsOf(headFile(home, run_id));
    const found = await Promise.all(
      numbers.map(async (piece) => ({ piece, bytes: await measureFile(fileOf(run_id, piece), measure) })),
    );
    return found.flatMap(({ piece, bytes }) => (bytes === null ? [] : [{ piece, bytes }]));
  };
  // Whoever has no answer sends it once more, and the first may still be on its way to the disk.
  const oneByOne = createOneByOne();
  return {
    sizes: (run_id) => measured(run_id, wholeLines),
    digest: (run_id, { piece, bytes }) => digestOf(fileOf(run_id, piece), bytes),
    read: (run_id, { piece, offset }, characters) => readLines(fileOf(run_id, piece), offset, characters),
    async write(run_id, { piece, offset }, text) {
      refuseOddLines(text, piece > 0 && offset === 0);
      const bytes = Buffer.from(text);
      return await oneByOne(run_id, async () => {
        const others = (await measured(run_id, length)).filter((one) => one.piece !== piece);
        const sum = others.reduce((total, one) => total + one.bytes, offset + bytes.length);
        if (sum > SLACK * maxBytes) {
          throw new AppError('refused', `a log has at most ${maxBytes} bytes here (POLYCRATE_MCP_LOG_MAX_BYTES)`);
        }
        return await replaceEnd(fileOf(run_id, piece), offset, bytes);
      });
    },
    drop: (run_id, piece) => oneByOne(run_id, () => rm(fileOf(run_id, piece), { force: true })),
  };
} // prettier-ignore

type Measure = (handle: FileHandle) => Promise<number>;

/** Null: it left while it was looked at. */
async function measureFile(file: string, measure: Measure): Promise<number | null> {
  const handle = await openOr(file);
  if (!handle) return null;
  try {
    return await measure(handle);
  } finally {
    await handle.close();
  }
}

async function length(handle: FileHandle): Promise<number> {
  return (await handle.stat()).size;
}

/** Most lines are far shorter. */
const LOOK_BYTES = 4 * 1024;

/** Bytes up to the end of the last line that is whole: what follows is a torn write. */
async function wholeLines(handle: FileHandle): Promise<number> {
  for (let end = await length(handle); end > 0;) {
    const from = Math.max(0, end - LOOK_BYTES);
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(end - from), 0, end - from, from);
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(10);
    if (newline >= 0) return from + newline + 1;
    end = from;
  }
  return 0;
}

async function digestOf(file: string, bytes: number): Promise<string | null> {
  const handle = await openOr(file);
  if (!handle) return null;
  try {
    const hash = createHash('sha256');
    if (bytes === 0) return hash.digest('hex');
    const stream = handle.createReadStream({ end: bytes - 1, autoClose: false });
    for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

/** Up to the last whole line among so many bytes; more of them where the first line is longer. */
async function readLines(file: string, offset: number, characters: number): Promise<string> {
  const handle = await openOr(file);
  if (!handle) return '';
  try {
    for (let most = characters; ; most *= 2) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(most), 0, most, offset);
      const end = buffer.lastIndexOf(10, bytesRead - 1);
      if (bytesRead > 0 && end >= 0) return buffer.toString('utf8', 0, end + 1);
      if (bytesRead < most || most > LONGEST_LINE * 64) return '';
    }
  } finally {
    await handle.close();
  }
}

/** Resolves with the bytes that are there then. */
async function replaceEnd(file: string, offset: number, bytes: Buffer): Promise<number> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    const { size } = await handle.stat();
    if (size < offset) return size;
    const end = offset + bytes.length;
    // Sent before, and perhaps more since then: the late one takes nothing away.
    if (size >= end && bytes.equals((await handle.read(Buffer.alloc(bytes.length), 0, bytes.length, offset)).buffer))
      return end;
    if (size > offset) await handle.truncate(offset);
    return offset + (await handle.write(bytes, 0, bytes.length, offset)).bytesWritten;
  } finally {
    await handle.close();
  }
} // prettier-ignore

async function openOr(file: string): Promise<FileHandle | null> {
  return await open(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
}

/** Whoever sends them may send anything, and readers rely on the form. */
function refuseOddLines(text: string, hasHeader: boolean): void {
  const lines = text.split('\n');
  const isWhole = lines.pop() === '' && lines.every((line, n) => isLine(line, hasHeader && n === 0));
  if (!isWhole) throw new AppError('invalid_argument', 'these are no whole lines of a log');
}
