import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { KEY_ROLES, type Principal, type Role, type Scope } from '../access/identity.ts';
import type { Authenticated, Authenticator, Refused } from '../access/authenticate.ts';
import { AppError } from '../shared/errors.ts';
import type { Json, JsonObject } from '../shared/json.ts';
import type { Requesters } from '../runs/requesters.ts';
import type { Clock } from '../shared/ports.ts';
import type { ArchivedEvent } from './archive.ts';
import type { HouseEvent, HouseEvents } from './house-events.ts';

/** `pmk_`, the id, the secret: whoever finds one knows what it is, and which one. */
const SHAPE = /^pmk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** Kept of a key: everything but its secret. */
export interface ApiKey {
  id: string;
  /** SHA-256 of the secret, which has 256 random bits, so that nothing slower is needed. */
  hash: string;
  /** What its owner called it; null: erased. */
  name: string | null;
  roles: readonly Role[];
  scope: Scope;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

export interface KeyRequest {
  name: string;
  roles: readonly Role[];
  scope: Scope;
  expires_at: number | null;
  by: Principal;
}

export interface ApiKeys {
  /** Answers the whole key, which is not kept and cannot be shown again. */
  create(request: KeyRequest): Promise<{ key: ApiKey; token: string }>;
  /** From now on it opens nothing. Throws `unknown_name`. */
  revoke(id: string, by: Principal): Promise<ApiKey>;
  list(): Promise<ApiKey[]>;
  /** Writes down once more what still opens something and would go with the events up to this one; answers how many. */
  carryOver(up_to: number): Promise<number>;
}

export function createApiKeys(events: HouseEvents, clock: Pick<Clock, 'now'>): ApiKeys {
  const list = async (): Promise<ApiKey[]> => keysOf(await events.list());
  return {
    list,
    async create({ name, roles, scope, expires_at, by }) {
      const id = randomBytes(6).toString('hex');
      const secret = randomBytes(32).toString('base64url');
      const at = clock.now();
      const hash = hashOf(secret);
      await events.add({
        kind: 'key_created',
        run_id: '',
        at,
        facts: { key_id: id, hash, roles: [...roles], scope: scope && [...scope], expires_at },
        private: { name, principal: { ...by } },
      });
      const key = { id, hash, name, roles, scope, created_at: at, expires_at, revoked_at: null };
      return { key, token: `pmk_${id}_${secret}` };
    },
    async revoke(id, by) {
      const keys = await list();
      const key = keys.find((candidate) => candidate.id === id);
      if (!key) {
        throw new AppError('unknown_name', `there is no key ${id}`, { valid: keys.map((known) => known.id) });
      }
      if (key.revoked_at !== null) return key;
      const at = clock.now();
      const facts = { key_id: id };
      await events.add({ kind: 'key_revoked', run_id: '', at, facts, private: { principal: { ...by } } });
      return { ...key, revoked_at: at };
    },
    async carryOver(up_to) {
      const known = await events.list();
      const at = clock.now();
      const going = keysOf(known).filter(
        (key) => isOpen(key, at) && !creationsOf(known, key.id).some(({ event }) => event.seq > up_to),
      );
      for (const key of going) await events.add(again(key, creationsOf(known, key.id)[0]!, at));
      return going.length;
    },
  };
}

/** It still opens something. */
export function isOpen({ revoked_at, expires_at }: ApiKey, now: number): boolean {
  return revoked_at === null && (expires_at === null || expires_at > now);
}

/** How old what is known of keys may be: a revoked one is refused that soon, by every server. */
const FRESH_MS = 1_000;
/** The same where a key is not among them: it may have been made a moment ago. Guesses do not ask more often. */
const FRESH_FOR_UNKNOWN_MS = 50;

/** Tells whose a key is, by the key itself, or by its id where it was shown before. */
export interface KeyHolders extends Authenticator {
  /** What is known of it may be so old; without a number it is looked at now. */
  byId(id: string, max_age_ms?: number): Promise<Authenticated | Refused>;
}

/** Of a token nothing is kept that could be looked at again; a key can be. */
export function requestersOf(holders: Pick<KeyHolders, 'byId'>): Requesters {
  return {
    async refusal({ kind, subject }, max_age_ms) {
      if (kind !== 'key') return null;
      const held = await holders.byId(subject, max_age_ms);
      if (!('refused' in held)) return null;
      const why = { revoked: 'was revoked', expired: 'has expired' };
      return `the API key of who asked for it ${why[held.refused as keyof typeof why] ?? 'is not known any more'}`;
    },
  };
}

export function createKeyAuthenticator(
  keys: Pick<ApiKeys, 'list'>,
  { clock, ledger }: { clock: Pick<Clock, 'now'>; ledger: () => Promise<string> },
): KeyHolders {
  let known: { at: number; keys: Promise<Map<string, ApiKey>>; issuer: Promise<string> } | null = null;
  const fresh = (max_age_ms: number): NonNullable<typeof known> => {
    if (known && clock.now() - known.at < max_age_ms) return known;
    const asked = keys.list().then((list) => new Map(list.map((key) => [key.id, key])));
    known = { at: clock.now(), keys: asked, issuer: known?.issuer ?? ledger() };
    // What could not be read is asked for again at once.
    Promise.all([known.keys, known.issuer]).catch(() => (known = null));
    return known;
  };
  const holderOf = async (key: ApiKey, issuer: Promise<string>): Promise<Authenticated | Refused> => {
    if (key.revoked_at !== null) return { refused: 'revoked' };
    if (key.expires_at !== null && key.expires_at <= clock.now()) return { refused: 'expired' };
    const principal = {
      kind: 'key',
      issuer: await issuer,
      subject: key.id,
      display: key.name ?? key.id,
    } as const;
    return { identity: { principal, roles: key.roles, scope: key.scope }, expires_at: key.expires_at };
  };
  return {
    async byId(id, max_age_ms = 0) {
      const { keys: asked, issuer } = fresh(max_age_ms);
      // Whoever names it has seen it, perhaps at another server and a moment ago.
      const key = (await asked).get(id) ?? (await fresh(0).keys).get(id);
      return key ? await holderOf(key, issuer) : { refused: 'unknown' };
    },
    async authenticate(token) {
      const [, id, secret] = SHAPE.exec(token) ?? [];
      if (id === undefined || secret === undefined) return null;
      const { keys: asked, issuer } = fresh(FRESH_MS);
      const key = (await asked).get(id) ?? (await fresh(FRESH_FOR_UNKNOWN_MS).keys).get(id);
      if (!key || !isSame(hashOf(secret), key.hash)) return { refused: 'unknown' };
      return await holderOf(key, issuer);
    },
  };
}

function creationsOf(events: readonly ArchivedEvent[], id: string): ArchivedEvent[] {
  return events.filter(({ event }) => event.kind === 'key_created' && factsOf(event)['key_id'] === id);
}

/** The creation of a key once more, with what is left of its private values. */
function again({ created_at }: ApiKey, { event, values }: ArchivedEvent, at: number): HouseEvent {
  const members = values.map(({ name, value }) => [name, JSON.parse(value) as Json]);
  return {
    kind: 'key_created',
    run_id: '',
    at,
    facts: { ...factsOf(event), created_at },
    private: Object.fromEntries(members) as JsonObject,
  };
}

function factsOf({ facts }: Pick<ArchivedEvent['event'], 'facts'>): JsonObject {
  return JSON.parse(facts) as JsonObject;
}

/** What the events add up to, in the order in which keys were made. */
export function keysOf(events: readonly ArchivedEvent[]): ApiKey[] {
  const keys = new Map<string, ApiKey>();
  // Also of keys that were carried over behind it: what was revoked stays so.
  const revoked = new Map<string, number>();
  for (const { event, values } of events) {
    const facts = factsOf(event);
    const id = facts['key_id'] as string;
    const known = keys.get(id);
    if (event.kind === 'key_revoked') revoked.set(id, revoked.get(id) ?? event.at);
    if (event.kind !== 'key_created' || known) continue;
    const name = values.find((value) => value.name === 'name');
    keys.set(id, {
      id,
      hash: facts['hash'] as string,
      name: name ? (JSON.parse(name.value) as string) : null,
      roles: KEY_ROLES.filter((role) => (facts['roles'] as Json[]).includes(role)),
      scope: facts['scope'] as string[] | null,
      created_at: (facts['created_at'] ?? event.at) as number,
      expires_at: facts['expires_at'] as number | null,
      revoked_at: null,
    });
  }
  return [...keys.values()].map((key) => ({ ...key, revoked_at: revoked.get(key.id) ?? null }));
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
