import { AppError } from '../shared/errors.ts';

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const LONGEST = 366 * 86_400_000;

/** `90m`, `24h`, `1d12h` in milliseconds; a year at the most. */
export function millisecondsOf(name: string, text: string): number {
  const parts = [...text.trim().toLowerCase().matchAll(/(\d{1,6})\s*(seconds?|minutes?|hours?|days?|weeks?|min|[smhdw])(?![a-z])\s*/g)];
  const whole = parts.map(([part]) => part).join('') === text.trim().toLowerCase();
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit![0]!]!, 0);
  if (parts.length > 0 && whole && ms <= LONGEST) return ms;
  throw new AppError('invalid_argument', `${name} "${text.slice(0, 50)}" is no length of time of a year at the most`, {
    valid: ['24h', '90m', '7d', '1d12h'],
    next: `repeat the call with ${name} like one of these`,
  });
} // prettier-ignore
