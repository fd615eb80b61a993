import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticated } from '../../access/authenticate.ts';
import type { Identity } from '../../access/identity.ts';
import type { KeyHolders } from '../../ledger/api-keys.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { isSameText, seal } from '../../runs/approval-seals.ts';

// Who is logged in at the page, known to every server of the ledger: cookies are sealed with the ledger's key. An API
// key that was shown is looked at again with each request; of an access token only what it said is kept, in the cookie,
// for no longer than the token itself would count.

const SESSION = 'polycrate_approver';
const VISIT = 'polycrate_visit';
export const LIFE_MS = 10 * 60_000;
/** Browsers drop cookies above 4 KB, without a word. */
const MOST_CHARACTERS = 3_500;

export interface Visit {
  /** Null: nobody is logged in. */
  approver: Identity | null;
  /** What a form of this visit has to carry. */
  token(run: ActionRun): string;
}

export interface SessionParts {
  holders: KeyHolders;
  key: Uint8Array;
  now: number;
  /** The page is reached over https. */
  secure: boolean;
}

/** Begins a visit where the request belongs to none. */
export async function visitOf(
  { holders, key, now, secure }: SessionParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Visit> {
  const cookies = cookiesOf(request);
  let visit = cookies.get(VISIT) ?? '';
  if (!/^[0-9a-f]{32}$/.test(visit)) {
    visit = randomBytes(16).toString('hex');
    setCookie(response, VISIT, visit, { secure });
  }
  const session = cookies.get(SESSION) ?? '';
  const shown = sessionOf(key, session, now);
  return {
    approver: shown && (await approverOf(holders, shown)),
    token: (run) =>
      seal(key, 'form', [visit, session, run.id, run.approval_request?.nonce ?? '']).toString('base64url'),
  };
}

/** What a session is of: a key, by its id, or what an access token said. */
type Shown = { key: string } | { identity: Identity };

/** One that was revoked a moment ago agrees to nothing. */
async function approverOf(holders: KeyHolders, shown: Shown): Promise<Identity | null> {
  if ('identity' in shown) return shown.identity;
  const held = await holders.byId(shown.key);
  return 'refused' in held ? null : held.identity;
}

/** False: what there is to remember is more than a browser keeps. */
export function logIn(
  { key, now, secure }: SessionParts,
  response: ServerResponse,
  { identity, expires_at }: Authenticated,
): boolean {
  const { kind, subject } = identity.principal;
  const shown: Shown = kind === 'key' ? { key: subject } : { identity };
  const until = Math.min(now + LIFE_MS, expires_at ?? Infinity);
  const text = Buffer.from(JSON.stringify(shown)).toString('base64url');
  const value = `${text}.${until}.${sessionSeal(key, text, until)}`;
  if (value.length > MOST_CHARACTERS) return false;
  setCookie(response, SESSION, value, { secure });
  return true;
}

export function logOut({ secure }: SessionParts, response: ServerResponse): void {
  setCookie(response, SESSION, '', { secure, life_ms: 0 });
}

/** Null: none, forged, or too old. */
function sessionOf(key: Uint8Array, session: string, now: number): Shown | null {
  const [text = '', until = '', mac = ''] = session.split('.');
  if (!isSameText(sessionSeal(key, text, Number(until) || 0), mac) || Number(until) <= now) return null;
  return JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Shown;
}

function sessionSeal(key: Uint8Array, text: string, until: number): string {
  return seal(key, 'login', [text, until]).toString('base64url');
}

interface CookieOptions {
  secure: boolean;
  /** 0: it is forgotten. */
  life_ms?: number;
  /** `Lax`: it also comes with somebody whom another site sends here. */
  sameSite?: 'Strict' | 'Lax';
}

export function setCookie(response: ServerResponse, name: string, value: string, options: CookieOptions): void {
  const { secure, life_ms = LIFE_MS, sameSite = 'Strict' } = options;
  const parts = [`${name}=${value}`, 'Path=/approvals', `Max-Age=${life_ms / 1000}`, 'HttpOnly', `SameSite=${sameSite}`];
  response.appendHeader('Set-Cookie', [...parts, ...(secure ? ['Secure'] : [])].join('; '));
} // prettier-ignore

export function cookiesOf({ headers }: IncomingMessage): Map<string, string> {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return new Map(pairs.map(([name = '', value = '']) => [name, value]));
}
