import { sha256 } from './json.ts';

/** UUIDv8 (RFC 9562) of some values: the same for the same ones, everywhere. */
export function uuidOfValues(values: readonly unknown[]): string {
  const bits = sha256(JSON.stringify(values));
  const variant = (8 + (parseInt(bits[16]!, 16) % 4)).toString(16);
  return `${bits.slice(0, 8)}-${bits.slice(8, 12)}-8${bits.slice(13, 16)}-${variant}${bits.slice(17, 20)}-${bits.slice(20, 32)}`;
}
