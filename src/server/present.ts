import type { CallToolResult } from '@modelcontextprotocol/server';
import { AppError, plainError } from '../shared/errors.ts';
import type { Redaction } from '../shared/redact/redaction.ts';

/** An answer: the structured part stands alone, the text is the same JSON for clients that show only text. */
export function answer(redaction: Redaction, data: object, warnings: readonly string[]): CallToolResult {
  const shown = redaction.json(warnings.length === 0 ? data : { ...data, ...warned(warnings) });
  return { content: [{ type: 'text', text: textOf(shown) }], structuredContent: shown };
}

const texts = new WeakMap<object, string>();

function textOf(shown: object): string {
  let text = texts.get(shown);
  if (text === undefined) texts.set(shown, (text = JSON.stringify(shown)));
  return text;
}

/** A failed call that the model can learn from; anything unforeseen says only that it is internal. */
export function failure(redaction: Redaction, error: AppError, warnings: readonly string[]): CallToolResult {
  const body = {
    error: plainError(error),
    ...warned(warnings),
  };
  return { isError: true, content: [{ type: 'text', text: JSON.stringify(redaction.json(body)) }] };
}

function warned(warnings: readonly string[]): { warnings?: string[] } {
  return warnings.length === 0 ? {} : { warnings: [...warnings] };
}

export function internal(): AppError {
  return new AppError(
    'internal',
    'something unexpected went wrong here; the operator finds the cause on stderr',
    {
      next: 'get_status tells whether the server is well',
    },
  );
}
