import type * as Yaml from 'yaml';
import { messageOf } from '../../shared/errors.ts';
import { nodesOf } from './convert-yaml.ts';
import type { YamlFile } from './yaml-nodes.ts';

/** Limits that keep one file under about a second; real files stay below a tenth of them. */
const MAX_TOKENS = 40_000;
const MAX_NESTING = 200;
/** Problems reported per file; a broken file repeats itself. */
const MAX_PROBLEMS = 20;
// Characters that YAML forbids; a binary file is best refused before it is taken for text.

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

let library: Promise<typeof Yaml> | null = null;

/** The YAML library, loaded when the first file is read. */
function loadYaml(): Promise<typeof Yaml> {
  library ??= import('yaml');
  return library;
}

/** Reads one file's bytes. Never throws: whatever is wrong becomes a problem with its line. */
export async function readYaml(bytes: Uint8Array, file: string): Promise<YamlFile> {
  const failed = (message: string, line: number | null = null): YamlFile => ({
    root: null,
    problems: [{ severity: 'error', file, line, message }],
  });
  const text = decode(bytes);
  if (text === null) return failed('is not UTF-8 text');
  const control = CONTROL.exec(text);
  if (control) return failed('holds a control character and is not YAML', lineAt(text, control.index));
  const yaml = await loadYaml();
  const lines = new yaml.LineCounter();
  try {
    const document = compose(yaml, text, lines);
    const read = nodesOf(document, { yaml, file, line: (offset) => lines.linePos(offset).line });
    return { root: read.root, problems: read.problems.slice(0, MAX_PROBLEMS) };
  } catch (error) {
    const { line } = lines.linePos(lines.lineStarts.at(-1) ?? 0);
    return failed(
      error instanceof TooMuch ? error.message : `cannot be read: ${messageOf(error)}`,
      line || null,
    );
  }
}

class TooMuch extends Error {}

/** The first document of the text; what comes after it is only noticed. */
function compose(
  yaml: typeof Yaml,
  text: string,
  lines: Yaml.LineCounter,
): { first: Yaml.Document.Parsed; more: number | null } {
  const composer = new yaml.Composer({
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    // Compared pair by pair, which is quadratic: duplicates are found while converting.
    uniqueKeys: false,
    resolveKnownTags: false,
  });
  const documents = composer.compose(tokens(yaml, text, lines), true, text.length);
  const first = documents.next().value as Yaml.Document.Parsed;
  const second = documents.next().value as Yaml.Document.Parsed | undefined;
  return { first, more: second ? second.range[0] : null };
}

function* tokens(yaml: typeof Yaml, text: string, lines: Yaml.LineCounter): Generator<Yaml.CST.Token, void> {
  const parser = new yaml.Parser(lines.addNewLine);
  let count = 0;
  lines.addNewLine(0);
  for (const lexeme of new yaml.Lexer().lex(text)) {
    if (++count > MAX_TOKENS) throw new TooMuch('has too many entries to be a definition');
    yield* parser.next(lexeme);
    if (parser.stack.length > MAX_NESTING) throw new TooMuch('is nested too deeply');
  }
  yield* parser.end();
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
