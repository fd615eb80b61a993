import { AppError } from '../shared/errors.ts';
import { closest } from '../shared/names.ts';

/** Refuses a filter value that nothing has, so that an empty list never hides a typing error. */
export function checkKnown(
  argument: string,
  value: string | undefined,
  known: readonly (string | null | undefined)[],
): void {
  if (value === undefined) return;
  const names = [...new Set(known.filter((name): name is string => typeof name === 'string'))];
  if (names.some((name) => name.toLowerCase() === value.toLowerCase())) return;
  throw new AppError('unknown_name', `nothing here has ${argument} "${value}"`, {
    valid: closest(value, names),
    next: `repeat the call with one of these, or without ${argument}`,
  });
}
