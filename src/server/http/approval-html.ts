import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { ActionRun } from '../../runs/action-run.ts';
import { agreedTo, type ApprovalRequest } from '../../runs/approval.ts';
import { cleanLine } from '../../shared/clean-text.ts';

// The page as text: no script, no address of anybody else, and everything that is not ours escaped.

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --accent: #0b57d0; --no: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --accent: #8ab4f8; --no: #f2b8b5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 44rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
dl { display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .25rem 1rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; }
ul { margin: 0; padding-left: 1.2rem; }
.note { border-left: .25rem solid var(--accent); padding: .5rem .75rem; margin: 1rem 0; } .bad { border-color: var(--no); }
form { margin: 1rem 0; } label { display: block; font-weight: 600; margin-bottom: .25rem; }
input, textarea { width: 100%; font: inherit; padding: .5rem; border: 1px solid var(--line); border-radius: .3rem; }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .4rem 1.2rem; margin: .75rem .5rem 0 0;
  border: 2px solid var(--accent); border-radius: .3rem; background: none; color: inherit; cursor: pointer; }
button.no { border-color: var(--no); } button.small { min-height: 2rem; font-weight: 400; border-width: 1px; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; } button:not(.small) { width: 100%; } }
`;

/** What a browser may do with it: show it, and send its forms back here. */
export const SECURITY_HEADERS = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Opener-Policy': 'same-origin',
  // With none at all, browsers would send our own forms without telling where they come from.
  'Referrer-Policy': 'same-origin',
  'Cache-Control': 'no-store',
  'Content-Type': 'text/html; charset=utf-8',
} as const;

/** Something to say above the rest. */
export interface Note {
  text: string;
  bad?: boolean;
}

export function escaped(text: string): string {
  const signs: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return cleanLine(text).replace(/[&<>"']/g, (sign) => signs[sign]!);
}

/** Where a browser goes next by itself, and what the link says for one that does not. */
export interface Onward {
  url: string;
  label: string;
}

export function page(title: string, body: string, note: Note | null = null, next: Onward | null = null): string {
  const said = note ? `<p class="note${note.bad ? ' bad' : ''}" role="status">${escaped(note.text)}</p>` : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${next ? `<meta http-equiv="refresh" content="0; url=${escaped(next.url)}">` : ''}
<title>${escaped(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escaped(title)}</h1>${said}${body}${next ? linkTo(next) : ''}</main></body></html>`;
} // prettier-ignore

export function linkTo({ url, label }: Onward): string {
  return `<p><a href="${escaped(url)}">${escaped(label)}</a></p>`;
}

export function sendPage(response: ServerResponse, status: number, html: string, more: Record<string, string> = {}): void {
  response.writeHead(status, { ...SECURITY_HEADERS, ...more }).end(html);
} // prettier-ignore

/** Nothing of the run: whoever only has the link learns nothing. `signInAt`: the host where people log in without a token. */
export function loginForm(token: string, issuer: string | null, signInAt: string | null): string {
  const takes =
    issuer === null
      ? 'your API key'
      : `your API key, or an access token of ${escaped(issuer)} for this server, which is not stored`;
  const why = 'Somebody is to approve a run.';
  const direct =
    signInAt === null
      ? `<p>${why} Log in with ${takes}, to see what it is.</p>`
      : `<p>${why} Log in to see what it is.</p>
<form method="post">${hidden(token, 'sign-in')}<button autofocus>Log in with ${escaped(signInAt)}</button></form>
<p>Or log in with ${takes}.</p>`;
  return `${direct}
<form method="post">${hidden(token, 'login')}
<label for="key">${issuer === null ? 'API key' : 'API key or access token'}</label><input id="key" name="key" type="password" autocomplete="off" required${signInAt === null ? ' autofocus' : ''}>
<button>Log in</button></form>`;
} // prettier-ignore

function hidden(token: string, step: string): string {
  return `<input type="hidden" name="token" value="${escaped(token)}"><input type="hidden" name="step" value="${step}">`;
}

export interface Shown {
  run: ActionRun;
  token: string;
  /** Who is logged in. */
  who: string;
  /** Whether an answer is still wanted, and of this approver. */
  open: boolean;
}

export function runPage({ run, token, who, open }: Shown): string {
  const request = run.approval_request!;
  const forms = `<h2>Your answer</h2><form method="post"><input type="hidden" name="token" value="${escaped(token)}">
<label for="reason">Reason (is recorded)</label><textarea id="reason" name="reason" rows="2" maxlength="1000"></textarea>
<button name="step" value="approve">Approve this run</button><button name="step" value="deny" class="no">Deny</button></form>`;
  return `${list(linesOf(run, request))}
<h2>What would run</h2>${list(request.shown.map(split))}
<h2>What differs</h2>${request.drift.length === 0 ? '<p>Nothing that is known of.</p>' : `<ul>${request.drift.map((line) => `<li>${escaped(line)}</li>`).join('')}</ul>`}
${answers(run)}${open ? forms : ''}
<form method="post">${hidden(token, 'logout')}<p>Logged in as ${escaped(who)}. <button class="small">Log out</button></p></form>`;
} // prettier-ignore

function linesOf(run: ActionRun, { count, role, rule, why, again, expires_at }: ApprovalRequest): [string, string][] {
  const by = run.principal?.display ?? '(erased)';
  const client = run.client ? `, with ${run.client.name} (as it calls itself)` : '';
  return [
    ['Asked by', `${by}${client}`],
    ['Reason', run.reason ?? 'none was given'],
    ...(again === null ? [] : [['Asked again', again] as [string, string]]),
    ['Rule', `${rule}: ${why}`],
    ['Needs', `${count === 1 ? 'one person' : `${count} persons`} with the role ${role ?? 'approver'}; ${agreedTo(run)} approved by now`],
    ['Until', new Date(expires_at).toISOString()],
    ['Run', run.id],
  ];
} // prettier-ignore

function answers({ approvals = [] }: ActionRun): string {
  if (approvals.length === 0) return '';
  const lines = approvals.map(
    ({ outcome, principal, at, reason }) =>
      `<li>${outcome} by ${escaped(principal?.display ?? '(erased)')}, ${new Date(at).toISOString()}${reason ? `: ${escaped(reason)}` : ''}</li>`,
  );
  return `<h2>Answers</h2><ul>${lines.join('')}</ul>`;
}

function list(lines: readonly [string, string][]): string {
  return `<dl>${lines.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('')}</dl>`;
}

/** `Hosts: db-1` as a name and a value. */
function split(line: string): [string, string] {
  const at = line.indexOf(': ');
  return at < 0 ? ['Place', line] : [line.slice(0, at), line.slice(at + 2)];
}
