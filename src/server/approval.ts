import { randomUUID } from 'node:crypto';
import {
  acceptedContent,
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  type InputRequiredResult,
  type RequestStateCodec,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { AppError } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Consent } from '../runs/start.ts';
import type { ApprovalNeeded } from '../tools/tool.ts';

/** How long a human has to answer; afterwards the call is asked again. */
const TTL_SECONDS = 600;
const QUESTION = 'approve';
const PROMPT_CHARACTERS = 1_000;

/** What a question was about; sealed, sent to the client, and required back with the answer. */
interface Sealed {
  tool: string;
  arguments: string;
  plan: string;
  nonce: string;
  expires_at: number;
}

export type ApprovalCodec = RequestStateCodec<Sealed>;

export function createApprovalCodec(key: Uint8Array): ApprovalCodec {
  return createRequestStateCodec<Sealed>({ key, ttlSeconds: TTL_SECONDS });
}

interface Call {
  tool: string;
  input: object;
}

/**
 * The human's verified yes, or null if nobody was asked yet. An answer without the state of its question, or
 * with that of another call, is no answer. Throws `approval_declined` for a no.
 */
export function consentOf(ctx: ServerContext, call: Call, by: string): Consent | null {
  const answer = inputResponse(ctx.mcpReq.inputResponses, QUESTION);
  const sealed = ctx.mcpReq.requestState<Sealed>();
  if (answer.kind === 'missing' || !sealed || typeof sealed !== 'object') return null;
  if (sealed.tool !== call.tool || sealed.arguments !== digestOf(call)) return null;
  const accepted = acceptedContent<{ approve?: unknown }>(ctx.mcpReq.inputResponses, QUESTION);
  if (accepted?.approve !== true) {
    throw new AppError('approval_declined', 'the human did not approve this run; nothing was executed', {
      next: 'ask the human what to do instead',
    });
  }
  return { plan_digest: sealed.plan, nonce: sealed.nonce, expires_at: sealed.expires_at, by };
}

interface Asking {
  ctx: ServerContext;
  call: Call;
  ask: ApprovalNeeded['ask'];
  now: number;
  redaction: Pick<Redaction, 'text'>;
}

/** The question to the human, about what the server resolved and not about the model's words. */
export async function askHuman(
  codec: ApprovalCodec,
  { ctx, call, ask, now, redaction }: Asking,
): Promise<InputRequiredResult> {
  const state: Sealed = {
    tool: call.tool,
    arguments: digestOf(call),
    plan: ask.plan.digest,
    nonce: randomUUID(),
    expires_at: now + TTL_SECONDS * 1000,
  };
  return inputRequired({
    inputRequests: {
      [QUESTION]: inputRequired.elicit({
        message: question(call.tool, ask, redaction),
        requestedSchema: {
          type: 'object',
          properties: {
            approve: {
              type: 'boolean',
              title: 'Run it',
              description: 'Yes runs exactly this, once',
              default: false,
            },
          },
          required: ['approve'],
        },
      }),
    },
    requestState: await codec.mint(state, ctx),
  });
}

export function cannotAsk({ decision }: ApprovalNeeded['ask']): AppError {
  return new AppError(
    'approval_unavailable',
    `a human has to approve this run (${decision.rule}: ${decision.why}), and this client cannot ask one`,
    {
      next:
        decision.rule === 'mode:ask'
          ? 'use a client that supports elicitation, or the operator sets POLYCRATE_MCP_RUN_MODE=trusted'
          : 'use a client that supports elicitation, or run it in a terminal with the Polycrate CLI',
    },
  );
}

/** `wait_seconds` only says how long to wait, so it may change between question and answer. */
function digestOf({ tool, input }: Call): string {
  const { wait_seconds: _, ...bound } = input as Record<string, unknown>;
  return sha256(canonicalJson([tool, bound]));
}

function question(
  tool: string,
  { plan, decision }: ApprovalNeeded['ask'],
  { text }: Asking['redaction'],
): string {
  const { workspace, block, action } = plan;
  const lines = [
    tool === 'retrigger_action_run' ? 'Run this action again?' : 'Run this action?',
    '',
    `Workspace: ${workspace.organization ?? '-'}/${workspace.name}${workspace.environment ? ` (${workspace.environment.value})` : ''}`,
    `Block: ${block.name} ${block.version ?? ''}`,
    `Action: ${action.name} (${action.kind})`,
    `Hosts: ${hostsOf(plan)}`,
    plan.image ? `Image: ${plan.image.reference}` : 'On this host, without a container',
    ...(action.prompt === null
      ? []
      : [`The action asks: ${text(action.prompt).slice(0, PROMPT_CHARACTERS)}`]),
    `Plan: ${plan.digest.slice(0, 12)} (${decision.rule})`,
  ];
  // Names and prompts come from workspace files: none of them may add a line of its own to the question.
  return lines.map((line) => text(line.replace(/[\r\n]+/g, ' ')).trimEnd()).join('\n');
}

const MOST_HOSTS = 10;

function hostsOf({ files }: ApprovalNeeded['ask']['plan']): string {
  if (files.inventory === null) return 'no inventory in the workspace';
  if (files.hosts === null)
    return `as ${files.inventory.relative} says; it cannot be read without running it`;
  const more = files.hosts.length - MOST_HOSTS;
  return files.hosts.slice(0, MOST_HOSTS).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
