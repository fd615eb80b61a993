import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator } from '../../access/authenticate.ts';
import { may, sees, type Identity } from '../../access/identity.ts';
import type { SignIn } from '../../access/sign-in.ts';
import type { KeyHolders } from '../../ledger/api-keys.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { APPROVALS_PATH, type ApprovalDesk } from '../../runs/approval-desk.ts';
import { isAwaited } from '../../runs/approval.ts';
import { isSameText } from '../../runs/approval-seals.ts';
import { AppError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports.ts';
import { loginForm, page, runPage, SECURITY_HEADERS, sendPage as send, type Note } from './approval-html.ts';
import { admit, REFUSED } from './approval-login.ts';
import { logOut, visitOf, type SessionParts, type Visit } from './approval-sessions.ts';
import { beginSignIn, createSignInReturn, SIGN_IN_PATH } from './approval-sign-in.ts';
import { createRateLimit } from './rate-limit.ts';

export interface ApprovalPageParts {
  desk: ApprovalDesk;
  holders: KeyHolders;
  /** Knows what is shown at the login: keys, and access tokens where there is an issuer of them. */
  authenticator: Authenticator;
  issuer: string | null;
  /** Null: only what is typed at the page opens it. */
  signIn: SignIn | null;
  /** Seals sessions; the same for all servers of a ledger. */
  key(): Promise<Uint8Array>;
  clock: Pick<Clock, 'now'>;
  secure: boolean;
}

export interface ApprovalPage {
  /** Whether an address is one of the page. */
  has(path: string): boolean;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

const ADDRESS = new RegExp(`^${APPROVALS_PATH}/([0-9a-f-]{36})$`);
const TITLE = 'Approve a run';
const MOST_BYTES = 16 * 1024;
/** Of one address, in a minute. */
const MOST_LOGINS = 30;
const MOST_REQUESTS = 300;

/** The page behind a link: shows what waits to whoever logs in with a key or an access token, and takes the answer. */
export function createApprovalPage(parts: ApprovalPageParts): ApprovalPage {
  const logins = createRateLimit(MOST_LOGINS);
  const requests = createRateLimit(MOST_REQUESTS);
  const { signIn } = parts;
  const returned = signIn && createSignInReturn({ ...parts, signIn, limit: createRateLimit(MOST_LOGINS) });
  return {
    has: (path) => path === APPROVALS_PATH || path.startsWith(`${APPROVALS_PATH}/`),
    async handle(request, response) {
      const address = request.socket.remoteAddress ?? '';
      const late = await requests.take(address);
      if (late !== null) return send(response, 429, page('Too many requests', ''), { 'Retry-After': String(late) });
      const url = new URL(request.url ?? '/', 'http://localhost');
      if (returned && url.pathname === SIGN_IN_PATH) return await returned(request, response);
      const [, run_id] = ADDRESS.exec(url.pathname) ?? [];
      const run = run_id === undefined ? null : await parts.desk.byLink(run_id, url.searchParams.get('sig') ?? '');
      if (!run) return send(response, 404, page('This link is not valid', GONE));
      const isAnswered = run.approved_at !== null || run.approval?.outcome === 'declined';
      if (!isAnswered && (await parts.desk.isExpired(run))) {
        return send(response, 410, page('This link has expired', GONE));
      }
      const sessions: SessionParts = { ...parts, key: await parts.key(), now: parts.clock.now() };
      const visit = await visitOf(sessions, request, response);
      const exchange: Exchange = { ...parts, sessions, visit, run, url, response };
      if (request.method === 'GET' || request.method === 'HEAD') return show(exchange);
      if (request.method !== 'POST') return send(response, 405, page('This is not how', ''), { Allow: 'GET, POST' });
      const form = await formOf(request);
      if (!form) return send(response, 413, page('That is too much', ''));
      // A form that another page made a browser send has no such token, and no cookie to make one for.
      if (!isSameText(visit.token(run), form.get('token') ?? '')) {
        return show(exchange, 403, { text: 'This form was not valid any more. Nothing was done; please try again.', bad: true });
      }
      const step = form.get('step');
      if (step === 'login' || (signIn && step === 'sign-in')) {
        const wait = await logins.take(address);
        if (wait !== null) return show(exchange, 429, { text: `Too many attempts; try again in ${wait} s.`, bad: true });
        return signIn && step === 'sign-in' ? await leave(exchange, signIn) : await login(exchange, form.get('key') ?? '');
      }
      if (step === 'logout') {
        logOut(sessions, response);
        return back(exchange);
      }
      return await answer(exchange, step === 'approve' ? 'approved' : step === 'deny' ? 'declined' : null, form.get('reason') ?? '');
    },
  };
} // prettier-ignore

const GONE =
  '<p>Nothing can be answered here. It was altered, or what it was about has changed, was answered, or waited for too long. A new request has a new link.</p>';

interface Exchange extends ApprovalPageParts {
  sessions: SessionParts;
  visit: Visit;
  run: ActionRun;
  url: URL;
  response: ServerResponse;
}

function show({ visit, run, response, issuer, signIn }: Exchange, status = 200, note: Note | null = null): void {
  const { approver } = visit;
  const token = visit.token(run);
  const form = loginForm(token, issuer, signIn?.at ?? null);
  if (!approver) return send(response, status, page(TITLE, form, note));
  if (!sees(approver.scope, run)) return send(response, 404, page('This link is not valid', GONE));
  const open = isWanted(run) && may(approver, run.approval_request!.role ?? 'approver');
  const body = runPage({ run, token, who: approver.principal.display, open });
  send(response, status, page(titleOf(run), body, note ?? standingOf(run, approver)));
} // prettier-ignore

function isWanted(run: ActionRun): boolean {
  return isAwaited(run) && run.approved_at === null;
}

function titleOf(run: ActionRun): string {
  const what = run.kind === 'workflow' ? `workflow ${run.workflow}` : `${run.block} ${run.action}`;
  return isWanted(run) ? `Approve ${what}?` : `Run of ${what}`;
}

function standingOf(run: ActionRun, approver: Identity): Note | null {
  if (run.approved_at !== null) return { text: `It is approved. The run: ${run.status}.` };
  if (!isAwaited(run)) return { text: `It waits no more: ${run.status_reason ?? run.status}.` };
  const role = run.approval_request!.role ?? 'approver';
  return may(approver, role) ? null : { text: `Answering needs the role ${role}.`, bad: true };
}

async function login(exchange: Exchange, typed: string): Promise<void> {
  const { authenticator, sessions, response } = exchange;
  const refused = await admit({ authenticator, sessions, response, token: typed.trim(), says: REFUSED });
  if (refused !== null) return show(exchange, 403, { text: refused, bad: true });
  back(exchange);
}

async function leave(exchange: Exchange, signIn: SignIn): Promise<void> {
  const { sessions, run, url, response } = exchange;
  const about = { run_id: run.id, sig: url.searchParams.get('sig') ?? '' };
  const text = await beginSignIn({ signIn, sessions, response, ...about });
  if (text !== null) show(exchange, 503, { text, bad: true });
}

async function answer(exchange: Exchange, outcome: 'approved' | 'declined' | null, reason: string): Promise<void> {
  const { visit, run, desk } = exchange;
  if (!visit.approver) return show(exchange, 403, { text: 'Please log in first.', bad: true });
  if (outcome === null) return show(exchange, 400, { text: 'That is no answer.', bad: true });
  try {
    const given = { run, outcome, approver: visit.approver, proof: 'key', via: 'page' } as const;
    await desk.answer({ ...given, reason: reason.trim() || null });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const now = (await desk.byLink(run.id, exchange.url.searchParams.get('sig') ?? '')) ?? run;
    return show({ ...exchange, run: now }, 409, { text: error.message, bad: true });
  }
  back(exchange);
} // prettier-ignore

/** To the same address by GET, so that reloading it sends nothing again. */
function back({ url, response }: Exchange): void {
  response.writeHead(303, { ...SECURITY_HEADERS, Location: `${url.pathname}${url.search}` }).end();
}

/** Null: larger than any form of ours, or none. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) return null;
    chunks.push(chunk);
  }
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? '');
  return new URLSearchParams(isForm ? Buffer.concat(chunks).toString('utf8') : '');
}
