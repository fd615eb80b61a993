import { AppError } from '../shared/errors.ts';

const ENTER = ['\r', '\n', '\u0004'];
const ERASE = ['\u007f', '\b'];
const INTERRUPT = '\u0003';
const MOST_CHARACTERS = 500;

/** Throws `configuration` where there is no person at a terminal: what is typed must not come from a program. */
export function requireTerminal(what: string): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new AppError('configuration', `${what} needs a terminal: a person types the key, and no program passes it on`, {
    next: 'open a terminal and type the command there, or use the page of the team server',
  });
} // prettier-ignore

/** A line that is typed at the terminal and shown nowhere. */
export async function readSecret(question: string): Promise<string> {
  requireTerminal('this');
  const { stdin, stderr } = process;
  // First of all, so that not even the quickest hand is shown what it types.
  stdin.setRawMode(true);
  stderr.write(question);
  let typed = '';
  try {
    for await (const chunk of stdin.setEncoding('utf8') as AsyncIterable<string>) {
      for (const sign of chunk) {
        if (sign === INTERRUPT) throw new AppError('refused', 'given up; nothing was answered');
        if (ENTER.includes(sign)) return typed.trim();
        typed = ERASE.includes(sign) ? typed.slice(0, -1) : typed + sign;
        if (typed.length > MOST_CHARACTERS) throw new AppError('refused', 'that is no key');
      }
    }
    return typed.trim();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}
