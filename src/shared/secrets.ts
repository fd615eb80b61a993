import { isMaskable } from './redact/forms.ts';

export const MASK = '[secret]';

const SECRET_KEY =
  /(?:pass(?:word|wd|phrase)?|secret|token|(?:api|private|access|secret|signing|encryption)[_-]?key|credential)s?(?:[_-]data)?$/i;
/** `tls_key`, `client-key-data`, `masterKey`, unless the word before it says that everybody may know it. */
const OTHER_KEY =
  /(?:(?<!public|primary|foreign|sort|partition|cache|host|object|index|label)[_-]keys?(?:[_-]data)?|(?<!ublic|rimary|oreign|ort|artition|ache|ost|bject|ndex|abel)Keys?)$/;

/** True for keys whose value is a secret by name: `db_password`, `apiKey`, `hcloud_token` … */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key) || OTHER_KEY.test(key);
}

/** A deep copy with the values of secret keys masked; what a model may see of a configuration. */
export function maskSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      isSecretKey(key) ? maskWhole(member) : maskSecrets(member),
    ]),
  );
}

function maskWhole(value: unknown): unknown {
  return value === null || value === '' || typeof value === 'boolean' || isTemplate(value) ? value : MASK;
}

// A reference to a secret is no secret, and readers need it.
function isTemplate(value: unknown): boolean {
  return typeof value === 'string' && /^\s*\{\{.*\}\}\s*$/.test(value);
}

const URL_PASSWORD = /[a-z0-9]:\/\/[^\s:@/]*:([^\s@/]+)@/i;

/** The string values under secret keys, and passwords within URLs, for redaction of output. */
export function secretValues(value: unknown, underSecretKey = false): string[] {
  if (typeof value === 'string') {
    const password = URL_PASSWORD.exec(value)?.[1];
    return [
      ...(underSecretKey && !isTemplate(value) ? [value] : []),
      ...(password === undefined || isTemplate(password) ? [] : [password, ...decoded(password)]),
    ];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    secretValues(member, underSecretKey || (!Array.isArray(value) && isSecretKey(key))),
  );
}

/** Within a URL a password is written with percent signs, but who uses it sees it without. */
function decoded(password: string): string[] {
  try {
    const plain = decodeURIComponent(password);
    return plain === password ? [] : [plain];
  } catch {
    return [];
  }
}

/** Shorter values are never looked for, not even with their key. */
const SHORTEST_KEYED = 4;

/**
 * Values under secret keys with their key, as files and tools write them: `db_password: admin`. That finds short
 * and ordinary values, which would destroy text if they were looked for alone.
 */
export function keyedSecrets(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    !Array.isArray(value) && isSecretKey(key) && isShort(member)
      ? pairsOf(key, String(member))
      : keyedSecrets(member),
  );
}

function isShort(value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  const text = String(value);
  return text.length >= SHORTEST_KEYED && !isMaskable(text.trim()) && !isTemplate(text);
}

function pairsOf(key: string, value: string): string[] {
  return [
    `${key}: ${value}`,
    `${key}=${value}`,
    `${key}: "${value}"`,
    `"${key}": "${value}"`,
    `"${key}": ${value}`,
    `'${key}': '${value}'`,
    `${key}="${value}"`,
    `${key}='${value}'`,
  ];
}

/** Every scalar of a tree that is secret as a whole. */
export function scalarsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'number') return [String(value)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(scalarsOf) : [];
}
