import { styleText } from 'node:util';

/** Nothing is wider, so that the story reads well in a usual terminal. */
const WIDTH = 100;
const INDENT = '   ';

type Format = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';
export type Paint = (format: Format, text: string) => string;

/** Colours for a terminal that wants them; otherwise plain text. */
export function painter(colours: boolean): Paint {
  return colours ? (format, text) => styleText(format, text) : (_format, text) => text;
}

export function title(paint: Paint, text: string): string {
  return `${paint('bold', text)}\n\n`;
}

/** Running text, wrapped. */
export function paragraph(text: string): string {
  return `${wrap(text, WIDTH).join('\n')}\n`;
}

export function heading(paint: Paint, number: number, text: string): string {
  return `\n${paint('bold', `${number}  ${text}`)}\n`;
}

/** One call as the assistant makes it: the tool and its arguments. */
export function callLine(paint: Paint, tool: string, args: object): string {
  const shown = Object.entries(args)
    .map(([name, value]) => `${name}: ${cut(JSON.stringify(value), 40)}`)
    .join(', ');
  const hanging = INDENT.length + tool.length + 4;
  const lines = wrap(shown, WIDTH - hanging).map((line) => paint('dim', line));
  return `${INDENT}${paint('cyan', `→ ${tool}`)}  ${lines.join(`\n${' '.repeat(hanging)}`)}`.trimEnd() + '\n';
}

/** What an answer says in essence: one or more wrapped lines below the call. */
export function essence(text: string): string {
  const inner = `${INDENT}  `;
  return wrap(text, WIDTH - inner.length)
    .map((line) => `${inner}${line}\n`)
    .join('');
}

/** Lines of a run's log, as they are but for the width. */
export function logLines(paint: Paint, lines: readonly string[]): string {
  return lines.map((line) => `${INDENT}  ${paint('dim', '│')} ${cut(line, WIDTH - 7)}\n`).join('');
}

/** The question that the server put to the human, and the answer. */
export function questionBox(paint: Paint, question: string, answer: string): string {
  const edge = (mark: string): string => `${INDENT}  ${paint('yellow', mark)}`;
  const lines = question.split('\n').filter((line) => line !== '');
  return [
    `${edge('┌─')} ${paint('yellow', 'the server asks the human')}`,
    ...lines.map((line) => `${edge('│')}  ${cut(line, WIDTH - 8)}`),
    `${edge('└─')} ${paint('yellow', `the human answers: ${answer}`)}`,
    '',
  ].join('\n');
}

/** A further question of the kind that was shown in full before. */
export function questionLine(paint: Paint, question: string, answer: string): string {
  const asked = question.split('\n').filter((line) => /^(Block|Action): /.test(line));
  return `${INDENT}  ${paint('yellow', cut(`the server asks the human: ${asked.join(', ')}? ${answer}`, WIDTH - 5))}\n`;
}

/** Rows in columns as wide as their longest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${INDENT}  ${cut(line.trimEnd(), WIDTH - 5)}\n`)
    .join('');
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
