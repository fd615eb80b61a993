import type { ActionRun } from '../runs/action-run.ts';
import { isAwaited } from '../runs/approval.ts';
import type { WebhookEvent } from '../ledger/webhook-queue.ts';

export const WEBHOOK_FORMATS = ['json', 'slack', 'mattermost'] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

export interface News {
  /** The same for each attempt, so that a receiver can tell a repetition. */
  id: string;
  event: 'approval_needed' | 'run_started' | 'run_finished' | 'run_failed';
  at: string;
  run: Record<string, unknown>;
  approval?: { rule: string; needed: number; strength: string; expires_at: string; link: string | null };
}

/** What there is to tell of an event; null: nothing, or nothing any more. Never what counts as an approval. */
export function newsOf(
  { seq, kind, at }: WebhookEvent,
  run: ActionRun | null,
  { ledger, link }: { ledger: string; link: string | null },
): News | null {
  const event = run && eventOf(kind, run);
  if (!run || !event) return null;
  const request = run.approval_request;
  return {
    ...{ id: `${ledger}-${seq}`, event, at: new Date(at).toISOString() },
    run: {
      ...{ id: run.id, kind: run.kind, organization: run.organization, workspace: run.workspace },
      environment: run.environment?.value ?? null,
      ...{ block: run.block, block_version: run.block_version, action: run.action, workflow: run.workflow },
      ...{ status: event === 'run_started' ? 'running' : run.status },
      ...(event !== 'run_started' && { status_reason: run.status_reason, exit_code: run.exit_code }),
      ...{ duration_ms: run.duration_ms, requested_by: run.principal?.display ?? null, reason: run.reason ?? null },
    },
    ...(event === 'approval_needed' &&
      request && {
        approval: {
          ...{ rule: request.rule, needed: request.count, strength: request.strength, link },
          expires_at: new Date(request.expires_at).toISOString(),
        },
      }),
  };
} // prettier-ignore

function eventOf(kind: string, run: ActionRun): News['event'] | null {
  const bad = run.status === 'failed' || run.status === 'unknown';
  switch (kind) {
    case 'run_approval_asked':
      return isAwaited(run) && run.approved_at === null ? 'approval_needed' : null;
    case 'run_started':
      return 'run_started';
    // Of answers only the one that ends a run is told.
    case 'run_approval_answered':
      return run.approval?.outcome === 'declined' ? 'run_finished' : null;
    default:
      return bad ? 'run_failed' : 'run_finished';
  }
}

const SAYS = {
  approval_needed: 'Approval needed',
  run_started: 'Run started',
  run_finished: 'Run finished',
  run_failed: 'Run failed',
} as const;

/** The body that a receiver of that format takes. */
export function bodyOf(news: News, format: WebhookFormat): string {
  if (format === 'json') return JSON.stringify(news);
  const quoted = format === 'slack' ? slackText : mattermostText;
  const { run, approval } = news;
  const part = (value: unknown): string => (typeof value === 'string' ? value : '');
  const target = [part(run['organization']) || '-', part(run['workspace'])].join('/');
  const what = part(run['workflow']) || `${part(run['block'])} ${part(run['action'])}`;
  const link = approval?.link;
  const lines = [
    `*${SAYS[news.event]}*: ${quoted(what)} in ${quoted(target)}${run['environment'] ? ` (${quoted(part(run['environment']))})` : ''}`,
    `Asked by ${quoted(part(run['requested_by']) || 'somebody')}${run['reason'] ? `: ${quoted(part(run['reason']))}` : ''}`,
    ...(run['status_reason'] ? [`${part(run['status'])}: ${quoted(part(run['status_reason']))}`] : []),
    ...(approval
      ? [`Until ${approval.expires_at}${link ? `: ${format === 'slack' ? `<${link}>` : link}` : ''}`]
      : []),
    `Run ${part(run['id'])}`,
  ];
  const text = lines.join('\n');
  return JSON.stringify({ text: format === 'slack' ? text : text.replace(/^\*(.+?)\*/, '**$1**') });
}

/** As code, in which nothing is a mention or a link. */
function slackText(text: string): string {
  const signs: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
  return mattermostText(text).replace(/[&<>]/g, (sign) => signs[sign]!);
}

function mattermostText(text: string): string {
  return `\`${text.replace(/[`\r\n]+/g, ' ').trim() || '-'}\``;
}
