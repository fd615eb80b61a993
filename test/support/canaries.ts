import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Finds any trace of a value: some 13 characters of it in a row, plain or encoded. Shares nothing with the product. */
export function tracesOf(canary: string, haystack: string): string[] {
  const bytes = Buffer.from(canary);
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before, 0xaa), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const inner = text.slice(before + 2, -2);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const hex = bytes.toString('hex');
  const wanted = [
    ...windows(canary, 10),
    ...windows(encodeURIComponent(canary), 14),
    ...windows(JSON.stringify(canary).slice(1, -1), 12),
    ...base64.flatMap((text) => windows(text, 10)),
    ...windows(hex, 16),
    ...windows(hex.toUpperCase(), 16),
  ];
  return [...new Set(wanted)].filter((piece) => haystack.includes(piece));
}

/** Every fourth window, so that a leak of four characters more always holds one. */
function windows(text: string, length: number): string[] {
  const count = Math.max(1, Math.floor((text.length - length) / 4) + 1);
  const all = Array.from({ length: count }, (_, n) => text.slice(n * 4, n * 4 + length));
  // Line ends, or one character alone, say nothing.
  return all.filter((piece) => piece.length >= 8 && new Set(piece).size > 4);
}

/** All bytes of all files below a folder, as Latin-1 and as UTF-8 text. */
export async function bytesBelow(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    files.set(join(entry.parentPath, entry.name), bytes.toString('latin1') + bytes.toString('utf8'));
  }
  return files;
}

/** Every value of every row of a schema, as text. */
export async function rowsBelow(query: (sql: string) => Promise<any[]>, schema: string): Promise<string[]> {
  const tables = await query(`SELECT tablename AS name FROM pg_tables WHERE schemaname = '${schema}'`);
  const texts: string[] = [];
  for (const { name } of tables) {
    for (const row of await query(`SELECT * FROM ${schema}."${name}"`)) {
      const values = Object.values(row as Record<string, unknown>);
      texts.push(name, ...values.map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') + value.toString('utf8') : typeof value === 'string' ? value : JSON.stringify(value))));
    }
  }
  return texts;
} // prettier-ignore

/** Characters that move a cursor, hide, or reorder; line ends and tabs are none. */
export const RAW_CONTROL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/u;

/** Every string within a JSON value, member names too. */
export function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [key, ...stringsOf(member)]);
}
