/** Shorter values are ordinary words too often: masking them as substrings would destroy text. */
const SHORTEST = 8;

export const MASK = '[secret]';

const SECRET_KEY = /(pass(word|wd|phrase)?|secret|token|api_?key|private_?key|credential)s?$/i;

/** True for keys whose value is a secret by name: `db_password`, `apiKey`, `hcloud_token` … */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key);
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

/** The string values under secret keys, for redaction of output. */
export function secretValues(value: unknown, underSecretKey = false): string[] {
  if (typeof value === 'string') return underSecretKey && !isTemplate(value) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    secretValues(member, underSecretKey || (!Array.isArray(value) && isSecretKey(key))),
  );
}

/** Removes known secret values from text: whole values of at least 8 characters, longest first. */
export function createRedactor(values: readonly string[]): (text: string) => string {
  const lines = values.flatMap((value) => value.split('\n')).map((value) => value.trim());
  const known = [...new Set(lines)]
    .filter((value) => value.length >= SHORTEST)
    .sort((a, b) => b.length - a.length);
  if (known.length === 0) return (text) => text;
  const pattern = new RegExp(
    known.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'),
    'g',
  );
  return (text) => text.replace(pattern, MASK);
}
