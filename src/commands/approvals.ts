import type { Identity } from '../access/identity.ts';
import type { App } from '../compose.ts';
import { agreedTo, type ApprovalRequest } from '../runs/approval.ts';
import type { ActionRun } from '../runs/action-run.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { AppError } from '../shared/errors.ts';
import { readSecret, requireTerminal } from './read-secret.ts';

/** Lists what waits for somebody's answer; the codes only where a person reads them. */
export async function approvals(app: App): Promise<void> {
  const { desk } = app.answers;
  try {
    const waiting = await desk.waiting(null);
    if (waiting.length === 0) return print('Nothing waits for approval.');
    for (const run of waiting) {
      const code = process.stdout.isTTY ? await desk.code(run) : null;
      print(`${[...linesOf(run), ...(code === null ? [] : [`Code:      ${code}`])].join('\n')}\n`);
    }
    print(
      process.stdout.isTTY
        ? 'polycrate-mcp approve CODE, or deny CODE, answers.'
        : 'Codes are shown in a terminal only.',
    );
  } finally {
    await app.close();
  }
}

/** How long it is watched whether a server goes on with what was approved. */
const WATCH_MS = 10_000;

export interface AnswerTask {
  args: readonly string[];
  options: Readonly<Record<string, string>>;
}

/** Answers what waits under a code: with a key that is typed, or as the user of this terminal where that is enough. */
export async function answer(app: App, outcome: 'approved' | 'declined', { args, options }: AnswerTask): Promise<void> {
  const command = outcome === 'approved' ? 'approve' : 'deny';
  const [code] = args;
  try {
    if (code === undefined || args.length !== 1) {
      throw new AppError('configuration', `${command} takes exactly one CODE, which polycrate-mcp approvals shows.`);
    }
    requireTerminal(command);
    const { desk } = app.answers;
    const run = await desk.byCode(code);
    process.stderr.write(`${linesOf(run).join('\n')}\n\n`);
    const typed = await readSecret(`Your API key, to ${command} this (it is not shown; nothing: as ${userOf(app)}): `);
    const approver = typed === '' ? app.server.identity : await identityOf(app, typed);
    const reason = options['reason']?.trim() || null;
    const proof = typed === '' ? 'client' : 'key';
    const after = await desk.answer({ run, outcome, approver, proof, reason, via: 'terminal' });
    print(await tellAfter(app, after));
  } finally {
    await app.close();
  }
} // prettier-ignore

function userOf(app: App): string {
  return app.server.identity.principal.display;
}

async function identityOf(app: App, token: string): Promise<Identity> {
  const known = await app.holders.authenticate(token);
  if (known && !('refused' in known)) return known.identity;
  throw new AppError('refused', 'that is no key of this ledger that is valid now; nothing was answered');
}

async function tellAfter({ supervision, services }: App, run: ActionRun): Promise<string> {
  if (run.status === 'cancelled') return `Denied: run ${run.id} will not start.`;
  const request = run.approval_request!;
  if (run.approved_at === null) {
    return `Noted. ${request.count - agreedTo(run)} more have to approve run ${run.id}.`;
  }
  const until = services.clock.now() + WATCH_MS;
  for (let now = run; ;) {
    if (now.status !== 'pending') return `Approved: run ${run.id} is ${now.status}.`;
    const left = until - services.clock.now();
    if (left <= 0)
      return `Approved: run ${run.id} starts as soon as a server of this ledger that has its workspace looks.`;
    await supervision.watch.changed(Math.min(left, 1_000));
    now = (await services.ledger.find(run.id)) ?? now;
  }
}

/** A run that waits, in lines; what came from files or people cannot add one of its own. */
export function linesOf(run: ActionRun): string[] {
  const request = run.approval_request!;
  const by = run.principal?.display ?? '(erased)';
  return [
    `Run:       ${run.id}`,
    ...request.shown.map((line) => `  ${line}`),
    ...(request.drift.length > 0 ? [`Drift:     ${request.drift.join('; ')}`] : []),
    ...(request.again === null ? [] : [`Again:     ${request.again}`]),
    `Asked by:  ${by}${run.client ? `, with ${run.client.name} (as it calls itself)` : ''}`,
    `Reason:    ${run.reason ?? 'none was given'}`,
    `Needs:     ${needs(request)} (rule ${request.rule}); ${agreedTo(run)} approved by now`,
    `Until:     ${new Date(request.expires_at).toISOString()}`,
  ].map((line) => line.slice(0, 2) + cleanLine(line.slice(2)));
}

function needs({ count, role, strength }: ApprovalRequest): string {
  const who = `${count === 1 ? 'one person' : `${count} persons`} with the role ${role ?? 'approver'}`;
  return `${who}, ${{ client: 'here', key: 'with an API key', other_principal: 'with API keys of other persons than who asked' }[strength]}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
