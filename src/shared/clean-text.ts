// Terminal sequences: CSI (colours, cursor), OSC (titles, links), and two-byte escapes.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
// Bidi controls, zero-width and invisible characters, tag characters, variation selectors supplement.
const INVISIBLE = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c\u180e]|\udb40[\udc00-\uddff]/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;
const SUSPECT =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\udb40/;

/**
 * One line of foreign text made harmless for a terminal and a model: escape sequences and invisible characters
 * leave, other control characters become their visible pictures (␀ …), tabs stay.
 */
export function cleanLine(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (!SUSPECT.test(text)) return text;
  return text.replace(ESCAPES, '').replace(INVISIBLE, '').replace(CONTROLS, picture);
}

function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
