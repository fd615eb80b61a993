import { cleanLine } from '../clean-text.ts';

/** Shorter values are ordinary words too often: masking them as substrings would destroy text. */
export const SHORTEST = 8;
/** Longer spellings are looked for in slices, so that what is found at once stays short and so does a hold-back. */
const SLICE = 256;
/** Columns at which `base64`, `openssl` and `xxd -p` break their lines. */
const WRAPS = [76, 64, 60];

/** Values that stand for nothing, and words that every log is full of. */
const ORDINARY = new Set(
  (
    'password passphrase changeme changeit undefined disabled required username postgres postgresql mariadb ' +
    'mongodb rabbitmq database administrator production development staging localhost kubernetes ' +
    'polycrate ansible-playbook containers container workspace namespace cluster-admin default-token secret-key ' +
    'bootstrap encrypted generated external optional internal existing temporary anonymous'
  ).split(' '),
);
const NUMBER = /^[+-]?[\d.,_:/\s-]+$/;

/** False for what may never be masked as a part of other text: short values, numbers, booleans, ordinary words. */
export function isMaskable(value: string): boolean {
  return value.length >= SHORTEST && !NUMBER.test(value) && !ORDINARY.has(value.toLowerCase());
}

/** One spelling of a value, as text to look for. */
export interface Form {
  text: string;
  /** Inside longer base64 its first and last characters depend on the neighbours: they go with it. */
  ragged: boolean;
}

/** Every spelling in which tools print a value: as it is, quoted, escaped, encoded, and line by line. */
export function formsOf(value: string): Form[] {
  const whole = value.trim();
  const bodies = [...new Set([whole, value])].filter(isMaskable);
  const plain = [...bodies.flatMap(spellings), ...linesOf(whole).flatMap(spellings)].flatMap(slices);
  const encoded = [...bodies, ...linesOf(whole)].flatMap(encodings);
  const texts = new Map<string, boolean>();
  for (const text of plain) texts.set(cleanLine(text), false);
  for (const text of encoded) if (!texts.has(text)) texts.set(text, true);
  return [...texts]
    .filter(([text]) => text.length >= SHORTEST && !text.includes('\n'))
    .map(([text, ragged]) => ({ text, ragged }));
}

/** Of a value with several lines: lines that are one word, and words that only a secret looks like. */
function linesOf(value: string): string[] {
  const lines = value.split(/\r?\n/);
  if (lines.length === 1) return [];
  return lines.flatMap((line) => {
    const words = line.trim().split(/\s+/);
    return words.filter(
      (word) => isMaskable(word) && (words.length === 1 ? !word.endsWith(':') : isDense(word)),
    );
  });
}

function isDense(word: string): boolean {
  return word.length >= 16 && /\d/.test(word) && /[A-Za-z]/.test(word) && !word.includes('://');
}

function spellings(value: string): string[] {
  const json = [inJson(value), inAsciiJson(value)];
  const python = value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  const urls = urlSpellings(value);
  return [
    value,
    ...json,
    // A message that is JSON within JSON, as Ansible likes to print.
    ...json.flatMap((text) => [inJson(text), inAsciiJson(text), text.replaceAll('/', '\\/')]),
    python,
    python.replaceAll("'", "\\'"),
    value.replaceAll("'", "''"),
    value.replaceAll("'", `'\\''`),
    value.replaceAll("'", `'"'"'`),
    value.replace(/[^\w@%+=:,./-]/g, '\\$&'),
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
    ...urls,
    ...urls.map((url) => url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())),
  ];
}

function inJson(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

function inAsciiJson(value: string): string {
  return inJson(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function urlSpellings(value: string): string[] {
  // By way of bytes, because half a surrogate pair cannot be encoded.
  const browser = encodeURIComponent(Buffer.from(value).toString());
  const strict = browser.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  return [browser, strict].flatMap((url) => [
    url,
    url.replaceAll('%20', '+'),
    url.replaceAll('%2F', '/'),
    url.replaceAll('%2F', '/').replaceAll('%20', '+'),
  ]);
}

function encodings(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8');
  const hex = bytes.toString('hex');
  const base64 = [0, 1, 2].map((offset) => base64At(bytes, offset));
  return [...base64, ...base64.map(urlSafe), hex, hex.toUpperCase()].flatMap((text) => [
    ...slices(text),
    ...WRAPS.flatMap((width) => (text.length > width ? wrapped(text, width) : [])),
  ]);
}

/** The characters that a value has in any base64 text where it starts `offset` bytes into a group of three. */
function base64At(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_');
}

function slices(text: string): string[] {
  if (text.length < 2 * SLICE) return [text];
  const count = Math.floor(text.length / SLICE);
  return Array.from({ length: count }, (_, n) =>
    text.slice(n * SLICE, n === count - 1 ? text.length : (n + 1) * SLICE),
  );
}

function wrapped(text: string, width: number): string[] {
  return Array.from({ length: Math.ceil(text.length / width) }, (_, n) =>
    text.slice(n * width, (n + 1) * width),
  );
}
