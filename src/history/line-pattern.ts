import { AppError, messageOf } from '../shared/errors.ts';

/** A test for lines, case-insensitive, in time linear to the text whatever the pattern is (RE2). */
export async function linePattern(pattern: string | undefined): Promise<(text: string) => boolean> {
  if (pattern === undefined) {
    throw new AppError('invalid_argument', "mode 'grep' needs a pattern", {
      next: "repeat the call with pattern, or mode: 'tail'",
    });
  }
  const { RE2JS } = await import('re2js');
  try {
    const compiled = RE2JS.compile(pattern, RE2JS.CASE_INSENSITIVE);
    return (text) => compiled.matcher(text).find();
  } catch (error) {
    throw new AppError(
      'invalid_argument',
      `pattern is not a valid RE2 regular expression: ${messageOf(error)}`,
      {
        next: 'escape special characters with a backslash; look-arounds and back-references do not exist in RE2',
      },
    );
  }
}
