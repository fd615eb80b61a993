import type { App } from '../compose.ts';
import type { KeyVerb } from '../config.ts';
import { KEY_ROLES, type Role, type Scope } from '../access/identity.ts';
import type { ApiKey } from '../ledger/api-keys.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { AppError } from '../shared/errors.ts';

export interface KeysTask {
  verb: KeyVerb;
  args: readonly string[];
  options: Readonly<Record<string, string>>;
}

/** Makes, lists and ends the keys of a team server. */
export async function keys(app: App, { verb, args, options }: KeysTask): Promise<void> {
  const json = options['json'] === 'true';
  try {
    switch (verb) {
      case 'create':
        return await create(app, options, json);
      case 'list':
        return list(await app.keys.list(), { json, now: app.services.clock.now() });
      case 'revoke': {
        const key = await app.keys.revoke(args[0]!, app.server.identity.principal);
        return print(
          json ? shown(key) : `Key ${key.id} is revoked; servers refuse it from the next second on.`,
        );
      }
    }
  } finally {
    await app.close();
  }
}

async function create(app: App, options: KeysTask['options'], json: boolean): Promise<void> {
  const name = options['name']?.trim();
  if (!name) throw new AppError('configuration', 'keys create needs to know whose it is: --name=NAME.');
  const now = app.services.clock.now();
  const { key, token } = await app.keys.create({
    name: cleanLine(name).slice(0, 200),
    roles: rolesOf(options['role']),
    scope: scopeOf(options['for']),
    expires_at: expiryOf(options['expires'] ?? '90d', now),
    by: app.server.identity.principal,
  });
  if (json) return print({ ...shown(key), token });
  print(`${token}\n\nThis is key ${key.id}, and the only time that it is shown. ${sentence(key)}`);
}

function rolesOf(text: string | undefined): Role[] {
  const asked = lines(text ?? 'reader');
  const unknown = asked.find((role) => !(KEY_ROLES as readonly string[]).includes(role));
  if (unknown === undefined) return KEY_ROLES.filter((role) => asked.includes(role));
  throw new AppError('configuration', `"${unknown}" is not a role.`, { valid: [...KEY_ROLES] });
}

function scopeOf(text: string | undefined): Scope {
  if (text === undefined) return null;
  const places = lines(text);
  const odd = places.find((place) => !/^[^/\s]+(\/\S+)?$/.test(place));
  if (odd === undefined) return places;
  throw new AppError('configuration', `"${odd}" is neither an organization nor organization/workspace.`);
}

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function expiryOf(text: string, now: number): number | null {
  if (text === 'never') return null;
  const [, amount, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const at = unit ? now + Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS] : Date.parse(text);
  if (Number.isFinite(at) && at > now) return at;
  throw new AppError('configuration', `--expires=${text} is no time to come.`, {
    valid: ['90d', '12h', '2027-01-31', 'never'],
  });
}

function lines(text: string): string[] {
  return text.split('\n').map((line) => line.trim());
}

function list(all: readonly ApiKey[], { json, now }: { json: boolean; now: number }): void {
  if (json) return print(all.map(shown));
  if (all.length === 0) return print('There are no keys; `polycrate-mcp keys create --name NAME` makes one.');
  for (const key of all)
    print(`${key.id}  ${key.name ?? '(erased)'}  ${stateOf(key, now)}  ${sentence(key)}`);
}

function stateOf({ revoked_at, expires_at }: ApiKey, now: number): string {
  if (revoked_at !== null) return `revoked ${day(revoked_at)}`;
  return expires_at !== null && expires_at <= now ? 'expired' : 'valid';
}

function sentence({ roles, scope, expires_at }: ApiKey): string {
  const until = expires_at === null ? 'without an end' : `until ${day(expires_at)}`;
  return `Roles: ${roles.join(', ')}; sees ${scope === null ? 'everything' : scope.join(', ')}; ${until}.`;
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 16).replace('T', ' ') + ' UTC';
}

/** Without the digest: it opens nothing, and is nobody's business either. */
function shown({ hash: _, created_at, expires_at, revoked_at, ...key }: ApiKey): object {
  const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  return { ...key, created_at: iso(created_at), expires_at: iso(expires_at), revoked_at: iso(revoked_at) };
}

function print(what: string | object): void {
  process.stdout.write(`${typeof what === 'string' ? what : JSON.stringify(what, null, 2)}\n`);
}
