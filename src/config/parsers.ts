import { isIP } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { readInstanceUrl } from '../shared/instance-url.ts';
import { RUNNER_NAME } from '../shared/names.ts';

/** What a value is read against: `~`, relative paths and list separators. */
export interface Place {
  home: string;
  cwd: string;
  /** `:` or, on Windows, `;`. */
  delimiter: string;
}

// Every message is the rest of a sentence that begins with the setting's name.

/** One of a few words. `later` are words of the design that this release refuses, each with the reason. */
export function choice<const T extends string>(
  words: readonly T[],
  later: Readonly<Record<string, string>> = {},
): z.ZodType<T, string> {
  return z.string().transform((text, context): T => {
    const word = words.find((candidate) => candidate === text.trim().toLowerCase());
    if (word !== undefined) return word;
    context.addIssue({
      code: 'custom',
      message: later[text.trim().toLowerCase()] ?? 'is none of the words it may be',
    });
    return z.NEVER;
  });
}

export const text = z.string().trim().regex(/^\S+$/, 'must be one word without spaces');

/** Root of a Polycrate API, without a slash at its end. */
export const instanceUrl = z.string().transform((value, context): string => {
  const read = readInstanceUrl(value);
  if ('url' in read) return read.url;
  context.addIssue({ code: 'custom', message: read.problem });
  return z.NEVER;
});

/** `all`, `none`, or names of workspaces with their organization. */
export const workspaceChoice = z.string().transform((value, context): 'all' | 'none' | string[] => {
  const word = value.trim().toLowerCase();
  if (word === 'all' || word === 'none') return word;
  const items = value.split(',').map((item) => item.trim()).filter((item) => item !== '');
  if (items.length > 0 && items.every((item) => /^[^\s*]+(\/[^\s*]*)?\*?$/.test(item) && item.includes('/'))) return items;
  context.addIssue({ code: 'custom', message: 'has an entry that is not organization/workspace' });
  return z.NEVER;
}); // prettier-ignore

/** May have spaces, as passphrases do. */
export const passphrase = z.string().trim().min(1);

/** Kept as it is: what follows the scheme is the driver's business. Must not be repeated, it holds a password. */
export const databaseUrl = z
  .string()
  .trim()
  .refine(
    (url) => /^postgres(ql)?:\/\//.test(url) && URL.canParse(url),
    'is not the URL of a PostgreSQL database',
  )
  .refine((url) => !URL.canParse(url) || new URL(url).pathname.length > 1, 'names no database');

export const yesOrNo = z.stringbool({ error: 'is neither yes nor no' });

/** A whole number above zero. */
export const count = z
  .string()
  .regex(/^\s*[1-9]\d{0,14}\s*$/, 'is not a whole number above 0')
  .transform(Number);

/** A number above zero, fractions allowed. */
export const amount = z
  .string()
  .regex(/^\s*\d+(\.\d+)?\s*$/, 'is not a number')
  .transform(Number)
  .refine((value) => value > 0, 'must be above 0');

const UNIT_BYTES: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `16m`, `2g`, `512k` in powers of 1024, as the container engine reads them. In bytes. */
export const bytes = z
  .string()
  .regex(/^\s*[1-9]\d{0,11}\s*[kmgt]?b?\s*$/i, 'is not a size')
  .transform(
    (value) => parseInt(value, 10) * (UNIT_BYTES[/[kmgt]/i.exec(value)?.[0].toLowerCase() ?? ''] ?? 1),
  )
  .refine(Number.isSafeInteger, 'is too large');

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `30m`, `2h`, `1h30m`, `7d`. In milliseconds. */
export const period = z
  .string()
  .regex(/^\s*(\d{1,6}[smhd])+\s*$/, 'is not a duration')
  .transform((value) =>
    [...value.matchAll(/(\d+)([smhd])/g)].reduce(
      (sum, [, n, unit]) => sum + Number(n) * UNIT_MS[unit ?? 's']!,
      0,
    ),
  )
  .refine((ms) => ms > 0, 'must be above 0');

/** The same for what a timer waits for. */
export const duration = period
  // Timers of Node.js overflow at 24.8 days and then fire at once.
  .refine((ms) => ms <= 24 * UNIT_MS['d']!, 'is longer than 24 days');

/** How much of somebody else's history is read. */
export const backfill = z.string().transform((value, context) => {
  const word = value.trim().toLowerCase();
  if (word === 'all' || word === 'off') return { kind: word } as const;
  const runs = count.safeParse(value);
  if (runs.success) return { kind: 'runs', runs: runs.data } as const;
  const age = period.safeParse(value);
  if (age.success) return { kind: 'age', ms: age.data } as const;
  context.addIssue({ code: 'custom', message: 'is neither a duration nor a number of runs' });
  return z.NEVER;
});

/** The word `none` switches a limit off: null. */
export function orNone<T>(schema: z.ZodType<T, string>): z.ZodType<T | null, string> {
  return z
    .string()
    .transform((value) => (value.trim().toLowerCase() === 'none' ? null : value))
    .pipe(schema.nullable());
}

/** The word for this machine's own zone, which is asked for only when a zone is needed. */
export const HOST_ZONE = 'host';

export const timezone = z
  .string()
  .transform((value) => (value.trim().toLowerCase() === HOST_ZONE ? HOST_ZONE : value.trim()))
  .refine((zone) => zone === HOST_ZONE || isTimezone(zone), 'is not a time zone of the IANA list');

function isTimezone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** An absolute path; `~` is the home folder, a relative path starts in the current folder. */
export const path = ({ home, cwd }: Place): z.ZodType<string, string> =>
  z
    .string()
    .transform((value) => value.trim())
    .refine((value) => value !== '', 'is empty')
    .refine(
      (value) => !/^~[^/\\]/.test(value),
      'names the home folder of another user, which is not looked up',
    )
    .transform((value) => resolve(cwd, value.startsWith('~') ? join(home, value.slice(1)) : value));

/** A path, or `git:` and a path. */
export const anchorPlace = (place: Place): z.ZodType<string, string> =>
  z.string().transform((value, context): string => {
    const [, git = '', rest = ''] = /^\s*(git:)?(.*)$/s.exec(value) ?? [];
    const { success, data, error } = path(place).safeParse(rest);
    if (success) return `${git}${data}`;
    context.addIssue({ code: 'custom', message: error.issues[0]?.message ?? 'is no path' });
    return z.NEVER;
  });

export const paths = (place: Place): z.ZodType<string[], string> =>
  list(place.delimiter).pipe(z.array(path(place)));

/** Comma-separated; each absolute or below `~`, because a permission must not depend on the current folder. */
export const absolutePaths = (place: Place): z.ZodType<string[], string> =>
  list(',')
    .refine(
      (items) => items.every((item) => item.startsWith('~') || isAbsolute(item)),
      'has a path that is not absolute',
    )
    .pipe(z.array(path(place)));

/** Of the web; plain http only where nothing leaves this machine. */
export const webAddress = z
  .string()
  .trim()
  .refine(
    (url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol),
    'is not an address of the web',
  )
  .refine(
    (url) => !URL.canParse(url) || new URL(url).protocol === 'https:' || isLoopback(new URL(url).hostname),
    'has to be https, except on this machine itself',
  );

/** `name=value`, or a name alone, separated by commas. */
export const labels = z.string().transform((value, context): Record<string, string> => {
  const pairs = value.split(',').map((item) => item.trim()).filter((item) => item !== '');
  if (pairs.every((pair) => /^[\w.-]{1,60}(=[\w.:/-]{0,100})?$/.test(pair))) {
    return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, pair.split('=')[1] ?? '']));
  }
  context.addIssue({ code: 'custom', message: 'has an entry that is not name=value' });
  return z.NEVER;
}); // prettier-ignore

export const runnerName = z
  .string()
  .trim()
  .regex(RUNNER_NAME, 'is not a name of letters, digits, `.`, `_` and `-`');

/** Collectors stand in the same network, so that plain HTTP is usual. */
export const collector = z
  .string()
  .trim()
  .refine(
    (url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol),
    'is not an address of the web',
  );

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export const hostNames = list(',').refine(
  (items) => items.every((item) => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$|^\[[0-9a-f:]+\]$/i.test(item)),
  'has an entry that is not a host name',
);

/** Image references; a `*` at the end stands for any rest. */
export const imagePatterns = list(',').refine(
  (items) => items.every((item) => /^[^\s*]*\*?$/.test(item)),
  'has a `*` elsewhere than at the end, or a space',
);

const WEBHOOK = /^(json|slack|mattermost)=(https?:\/\/\S+)$/;

/** Formats and addresses. An address is never repeated in a message. */
export const webhooks = z
  .string()
  .transform((text) => text.split(/\s+/).filter((item) => item !== ''))
  .refine(
    (items) => items.every((item) => URL.canParse(WEBHOOK.exec(item)?.[2] ?? '')),
    'has an entry that is not json=URL, slack=URL or mattermost=URL',
  )
  .transform((items) =>
    items.map((item) => {
      const [, format, url] = WEBHOOK.exec(item)!;
      return { format: format as 'json' | 'slack' | 'mattermost', url: url! };
    }),
  );

/** `name:ip` entries, kept as they are because that is what the engine takes. */
export const hostEntries = list(',').refine(
  (items) => items.every(isHostEntry),
  'has an entry that is not name:ip',
);

function isHostEntry(entry: string): boolean {
  const colon = entry.indexOf(':');
  const ip = entry.slice(colon + 1);
  return (
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(entry.slice(0, colon)) &&
    (isIP(ip) !== 0 || ip === 'host-gateway')
  );
}

function list(separator: string): z.ZodPipe<z.ZodString, z.ZodTransform<string[], string>> {
  return z.string().transform((value) =>
    value
      .split(separator)
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
}
