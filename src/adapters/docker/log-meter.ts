/** JSON around one line of the engine's json-file log: stream, time, quotes and braces. */
const LINE_OVERHEAD = 70;
const NEWLINE = 10;

/** Estimates how large output is in the engine's json-file log, where short lines and escapes cost most. */
export function createLogMeter(): { add(bytes: Uint8Array): void; stored(): number } {
  let stored = 0;
  return {
    add: (bytes) => {
      for (const byte of bytes) stored += byte === NEWLINE ? LINE_OVERHEAD + 2 : escapedSize(byte);
    },
    stored: () => stored,
  };
}

/** `"` and `\` take two bytes, control characters and `<`, `>`, `&` six (\u003c). */
function escapedSize(byte: number): number {
  if (byte === 0x22 || byte === 0x5c || byte === 0x0d || byte === 0x09) return 2;
  return byte < 0x20 || byte === 0x3c || byte === 0x3e || byte === 0x26 ? 6 : 1;
}

/**
 * True if a limited log is so full that the engine may have dropped its oldest file. It keeps `max-file` files
 * of `max-size` bytes, so what is left after a drop is never less than one file short of the limit.
 */
export function mayHaveLostHead(stored: number, config: Record<string, string> | undefined): boolean {
  const size = Number(config?.['max-size']);
  const files = Number(config?.['max-file'] ?? 1);
  if (!Number.isFinite(size) || size <= 0) return false;
  // The estimate of the stored size is good to a few per cent.
  return stored >= size * Math.max(files - 1, 0) * 0.97;
}
