/** The library builds a quoted text character by character: forty times its size in memory. */
const LARGE = 256 * 1024;
const KEY = 'output: "';
const ESCAPE = /\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[^xuU])/g;

/**
 * Takes the output out of an event as the CLI writes it: double-quoted, on one line, at the top level. Whatever looks
 * otherwise is left to the library (`output` is null). Rules of escapes: YAML 1.2.2, 5.7.
 */
export function liftOutput(text: string): { rest: string; output: string | null } {
  const whole = { rest: text, output: null };
  if (text.length < LARGE) return whole;
  // At the beginning of a line only a key of the top level can stand: what belongs to a key is indented.
  const at = text.startsWith(KEY) ? 0 : text.indexOf(`\n${KEY}`) + 1;
  if (at === 0 && !text.startsWith(KEY)) return whole;
  const newline = text.indexOf('\n', at);
  const end = newline === -1 ? text.length : newline;
  const line = text.slice(at + KEY.length, end).trimEnd();
  if (!line.endsWith('"')) return whole;
  const output = unescaped(line.slice(0, -1));
  return output === null ? whole : { rest: `${text.slice(0, at)}output: ""${text.slice(end)}`, output };
}

const NAMED: Readonly<Record<string, string>> = {
  '0': '\0', a: '\x07', b: '\b', t: '\t', '\t': '\t', n: '\n', v: '\v', f: '\f', r: '\r', e: '\x1b', ' ': ' ',
  '"': '"', '/': '/', '\\': '\\', N: '\x85', _: '\xa0', L: '\u2028', P: '\u2029',
}; // prettier-ignore

function unescaped(quoted: string): string | null {
  // A quote that nobody escaped would end the text there.
  if (/["\\]/.test(quoted.replace(ESCAPE, ''))) return null;
  let known = true;
  const plain = quoted.replace(ESCAPE, (escape) => {
    const character = characterOf(escape);
    known &&= character !== null;
    return character ?? '';
  });
  return known ? plain : null;
}

function characterOf(escape: string): string | null {
  const [, kind] = escape;
  if (kind === 'x' || kind === 'u' || kind === 'U') {
    const code = Number.parseInt(escape.slice(2), 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : null;
  }
  return NAMED[kind!] ?? null;
}
