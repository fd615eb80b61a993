// Terminal sequences: CSI (colours, cursor), OSC (titles, links), and two-byte escapes.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g;
/*
 * What is not seen but read by a model: whatever Unicode calls ignorable by default (bidi controls, zero-width and
 * tag characters, variation selectors, fillers), annotations, and halves of surrogate pairs.
 */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cs}\ufff9-\ufffb]/gu;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;
/** Every code unit that can be a part of the above. */
const SUSPECT =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]/;
const UNFINISHED = /(?:\u001b(?:\[[0-?]*[ -/]*|\][^\u0007\u001b]*\u001b?|[ -/]*)|\r)$/;
/** A terminal sequence that goes on for longer is none. */
const LONGEST_ESCAPE = 4096;

/**
 * One line of foreign text made harmless for a terminal and a model: escape sequences and invisible characters
 * leave, other control characters become their visible pictures (␀ …), tabs stay.
 */
export function cleanLine(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (!SUSPECT.test(text)) return text;
  return text.replace(ESCAPES, '').replace(INVISIBLE, '').replace(CONTROLS, picture);
}

/** The same for text of several lines. */
export function cleanText(text: string): string {
  return SUSPECT.test(text) ? text.split('\n').map(cleanLine).join('\n') : text;
}

/** Cuts off what the rest of a line may turn into something else: the beginning of a sequence, a carriage return. */
export function splitUnfinished(piece: string): [ready: string, rest: string] {
  const from = Math.max(0, piece.length - LONGEST_ESCAPE);
  const unfinished = UNFINISHED.exec(piece.slice(from));
  const ready = unfinished ? from + unfinished.index : piece.length;
  return [piece.slice(0, ready), piece.slice(ready)];
}

function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
