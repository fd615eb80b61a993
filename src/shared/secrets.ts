export const MASK = '[secret]';

const SECRET_KEY =
  /(pass(word|wd|phrase)?|secret|token|(api|private|access|secret|signing|encryption)_?key|credential)s?$/i;

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

const URL_PASSWORD = /[a-z0-9]:\/\/[^\s:@/]*:([^\s@/]+)@/i;

/** The string values under secret keys, and passwords within URLs, for redaction of output. */
export function secretValues(value: unknown, underSecretKey = false): string[] {
  if (typeof value === 'string') {
    const password = URL_PASSWORD.exec(value)?.[1];
    return [
      ...(underSecretKey && !isTemplate(value) ? [value] : []),
      ...(password === undefined || isTemplate(password) ? [] : [password]),
    ];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    secretValues(member, underSecretKey || (!Array.isArray(value) && isSecretKey(key))),
  );
}
