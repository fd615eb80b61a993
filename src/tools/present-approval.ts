import type { ActionRun } from '../runs/action-run.ts';
import { agreedTo, isAwaited, type ApprovalRequest, type GivenAnswer } from '../runs/approval.ts';
import { clippedText, fitting, iso } from './present-run.ts';

const MEANS = {
  client: 'a yes of anybody who may approve',
  key: 'an API key, or at the page an access token',
  other_principal: 'other persons than the one who asked, by the people file',
} as const;

/** Who may approve a run that waits, until when, and how. Never what counts as an approval. */
export function approvalNeeded(run: ActionRun, link: string | null): Record<string, unknown> | null {
  const request = run.approval_request;
  if (!request || !isAwaited(run)) return null;
  const { rule, why, count, strength, again, shown, drift } = request;
  return {
    ...{ rule, why },
    who: `${count === 1 ? 'one person' : `${count} persons`} with the role ${request.role ?? 'approver'}, never the one who asked`,
    needs: MEANS[strength],
    approved_by_now: agreedTo(run),
    expires_at: iso(request.expires_at),
    ...(again !== null && { asked_again: again }),
    ...{ shown: few(shown), drift: few(drift) },
    how: [
      'in a terminal at the ledger: polycrate-mcp approvals, then polycrate-mcp approve CODE',
      ...(link === null ? [] : [`on the page, after logging in: ${link}`]),
    ],
  };
}

/** What the model can do about it: nothing but tell, and wait. */
export function nextOfAwaited({ id, approved_at }: ActionRun): string {
  return approved_at === null
    ? `nothing runs before it is approved, which no call can do: tell who may approve, and wait_for_action_run with run_id ${id}`
    : `it is approved and about to start: wait_for_action_run with run_id ${id}`;
}

/** In the whole record, with times as ISO 8601 UTC. */
export function recordedApproval({
  approval_request,
  approvals,
  approval,
}: ActionRun): Record<string, unknown> {
  return {
    approval: approval && { ...approval, at: iso(approval.at) },
    ...(approval_request && { approval_request: requestOf(approval_request) }),
    ...(approvals && { approvals: approvals.map((given: GivenAnswer) => ({ ...given, at: iso(given.at) })) }),
  };
}

function requestOf({ nonce: _, asked_at, expires_at, shown, drift, ...request }: ApprovalRequest): Record<string, unknown> {
  return { ...request, shown: few(shown), drift: few(drift), asked_at: iso(asked_at), expires_at: iso(expires_at) };
} // prettier-ignore

const [LINES_CHARACTERS, LINE_CHARACTERS] = [4_000, 500];

/** Whoever approves sees all of it; the model as much as an answer has room for. */
function few(lines: readonly string[]): string[] {
  const cut = lines.map((line) => clippedText(line, LINE_CHARACTERS));
  const shown = cut.slice(0, fitting(cut, LINES_CHARACTERS));
  const more = cut.length - shown.length;
  return more > 0 ? [...shown, `… and ${more} more, which whoever approves is shown`] : shown;
}
