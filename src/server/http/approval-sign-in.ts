import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator } from '../../access/authenticate.ts';
import type { SignIn, SignInFailure, SignInSecrets } from '../../access/sign-in.ts';
import type { KeyHolders } from '../../ledger/api-keys.ts';
import { APPROVALS_PATH } from '../../runs/approval-desk.ts';
import { isSameText, seal } from '../../runs/approval-seals.ts';
import type { Clock } from '../../shared/ports.ts';
import { linkTo, page, sendPage } from './approval-html.ts';
import { admit, REFUSED } from './approval-login.ts';
import { cookiesOf, LIFE_MS, setCookie, type SessionParts } from './approval-sessions.ts';
import type { RateLimit } from './rate-limit.ts';

// Logging in at the issuer of access tokens. What a login is about is in a cookie of the browser that began it; its
// state and its verifier are made of that with the ledger's key, so any server of the ledger can take what comes back,
// and neither a cookie that was altered nor one of another login fits the state.

/** The one address that an issuer has to know. */
export const SIGN_IN_PATH = `${APPROVALS_PATH}/login`;
const COOKIE = 'polycrate_sign_in';

interface Begun {
  nonce: string;
  run_id: string;
  /** Of the link of the run. */
  sig: string;
  until: number;
}

export interface Beginning extends Pick<Begun, 'run_id' | 'sig'> {
  signIn: SignIn;
  sessions: SessionParts;
  response: ServerResponse;
}

/** Sends the browser to the issuer; otherwise says why not. */
export async function beginSignIn({ signIn, sessions, response, ...about }: Beginning): Promise<string | null> {
  const { key, now, secure } = sessions;
  const begun: Begun = { nonce: randomBytes(16).toString('hex'), ...about, until: now + LIFE_MS };
  const sent = await signIn.begin(secretsOf(key, begun));
  if ('failed' in sent) return failureText(signIn.at, sent);
  // The issuer's answer comes from another site.
  setCookie(response, COOKIE, textOf(begun), { secure, sameSite: 'Lax' });
  // Not by a redirect: browsers apply `form-action` to every place that an answer to a form leads to, and where people
  // are sent on to from the issuer is not known here.
  const next = { url: sent.url, label: `Go on to ${signIn.at}` };
  sendPage(response, 200, page(`Log in with ${signIn.at}`, '', null, next));
  return null;
} // prettier-ignore

export interface ReturnParts {
  signIn: SignIn;
  authenticator: Authenticator;
  holders: KeyHolders;
  key(): Promise<Uint8Array>;
  clock: Pick<Clock, 'now'>;
  secure: boolean;
  /** Each answer is a question to the issuer. */
  limit: RateLimit;
}

/** Takes what a browser brings back from the issuer. */
export function createSignInReturn(parts: ReturnParts): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { signIn, authenticator, secure } = parts;
  return async (request, response) => {
    if (request.method !== 'GET') return sendPage(response, 405, page('This is not how', ''), { Allow: 'GET' });
    const sessions: SessionParts = { ...parts, key: await parts.key(), now: parts.clock.now() };
    const answer = new URL(request.url ?? '/', 'http://localhost').searchParams;
    const begun = begunOf(sessions.key, cookiesOf(request).get(COOKIE) ?? '');
    if (!begun || !isSameText(begun.state, answer.get('state') ?? '')) return refuse(response, 403, FOREIGN, null);
    const link = `${APPROVALS_PATH}/${begun.run_id}?sig=${begun.sig}`;
    const wait = await parts.limit.take(request.socket.remoteAddress ?? '');
    if (wait !== null) return refuse(response, 429, `Too many attempts; try again in ${wait} s.`, link);
    setCookie(response, COOKIE, '', { secure, sameSite: 'Lax', life_ms: 0 });
    if (begun.until <= sessions.now) return refuse(response, 403, 'This login took too long; please begin it again.', link);
    const finished = await signIn.finish(begun, answer);
    if ('failed' in finished) {
      return refuse(response, finished.failed === 'unreachable' ? 503 : 403, failureText(signIn.at, finished), link);
    }
    const refused = await admit({ authenticator, sessions, response, token: finished.token, says: saysOf(signIn.at) });
    if (refused !== null) return refuse(response, 403, refused, link);
    // Not by a redirect: at the end of a chain that another site began, the session would stay behind.
    sendPage(response, 200, page('Logged in', '', null, { url: link, label: 'Go on to the run' }), UNTOLD);
  };
} // prettier-ignore

const FOREIGN =
  'Nobody was logged in: this login did not begin in this browser, was used already, or is too old. Open the link of the run, and log in there once more.';
/** The address holds what the issuer answered. */
const UNTOLD = { 'Referrer-Policy': 'no-referrer' };

function refuse(response: ServerResponse, status: number, text: string, link: string | null): void {
  const body = link === null ? '' : linkTo({ url: link, label: 'Back to the login' });
  const html = page('Not logged in', body, { text, bad: true });
  sendPage(response, status, html, UNTOLD);
}

function failureText(at: string, { failed, says }: SignInFailure): string {
  const texts: Record<SignInFailure['failed'], string> = {
    declined: `The login was declined at ${at}.`,
    refused: `${at} did not accept this login.`,
    unreachable: `${at} cannot be reached, or does not answer as it should; please try again later.`,
  };
  return says === null ? texts[failed] : `${texts[failed]} It says: "${says}"`;
}

function saysOf(at: string): typeof REFUSED {
  const unknown = `What ${at} gave is no access token that this server accepts.`;
  return { ...REFUSED, unknown, expired: `The access token that ${at} gave has expired.` };
}

/** State and verifier tell nothing of each other: each is sealed for its own purpose. */
function secretsOf(key: Uint8Array, { nonce, run_id, sig, until }: Begun): SignInSecrets {
  const of = (what: string): string => seal(key, what, [nonce, run_id, sig, until]).toString('base64url');
  return { state: of('sign-in state'), verifier: of('sign-in verifier') };
}

function textOf({ nonce, run_id, sig, until }: Begun): string {
  return [nonce, run_id, sig, until].join('.');
}

const TEXT = /^([0-9a-f]{32})\.([0-9a-f-]{36})\.([\w-]{1,64})\.(\d{1,15})$/;

/** As it is shaped; that it is ours, only its state tells. */
function begunOf(key: Uint8Array, text: string): (Begun & SignInSecrets) | null {
  const [, nonce = '', run_id = '', sig = '', until = ''] = TEXT.exec(text) ?? [];
  const begun: Begun = { nonce, run_id, sig, until: Number(until) };
  return nonce === '' ? null : { ...begun, ...secretsOf(key, begun) };
}
