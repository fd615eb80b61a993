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
import { keyOf, type Principal } from '../access/identity.ts';
import { AppError } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';
import type { Consent } from '../runs/start.ts';
import type { Question } from '../tools/tool.ts';

/** How long a human has to answer; afterwards the call is asked again. */
const TTL_SECONDS = 600;
const QUESTION = 'approve';

/** What a question was about; sealed, sent to the client, and required back with the answer. */
interface Sealed {
  tool: string;
  arguments: string;
  /** Who was asked: nobody else's answer counts. */
  asker: string;
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
export function consentOf(ctx: ServerContext, call: Call, principal: Principal): Consent | null {
  const answer = inputResponse(ctx.mcpReq.inputResponses, QUESTION);
  const sealed = ctx.mcpReq.requestState<Sealed>();
  if (answer.kind === 'missing' || !sealed || typeof sealed !== 'object') return null;
  if (sealed.tool !== call.tool || sealed.arguments !== digestOf(call)) return null;
  if (sealed.asker !== keyOf(principal)) return null;
  const accepted = acceptedContent<{ approve?: unknown }>(ctx.mcpReq.inputResponses, QUESTION);
  if (accepted?.approve !== true) {
    throw new AppError('approval_declined', 'the human did not approve this run; nothing was executed', {
      next: 'ask the human what to do instead',
    });
  }
  return {
    plan_digest: sealed.plan,
    nonce: sealed.nonce,
    expires_at: sealed.expires_at,
    by: principal.display,
  };
}

interface Asking {
  ctx: ServerContext;
  call: Call;
  asker: string;
  ask: Question;
  now: number;
}

/** The question to the human, about what the server resolved and not about the model's words. */
export async function askHuman(
  codec: ApprovalCodec,
  { ctx, call, asker, ask, now }: Asking,
): Promise<InputRequiredResult> {
  const state: Sealed = {
    tool: call.tool,
    arguments: digestOf(call),
    asker,
    plan: ask.digest,
    nonce: randomUUID(),
    expires_at: now + TTL_SECONDS * 1000,
  };
  return inputRequired({
    inputRequests: {
      [QUESTION]: inputRequired.elicit({
        message: ask.question,
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

/** `desk`: others could answer instead, if anybody were there. */
export function cannotAsk({ rule, why }: Question, desk: boolean): AppError {
  const others = desk
    ? ', or the operator makes a key for who may approve (polycrate-mcp keys create --role approver)'
    : '';
  return new AppError(
    'approval_unavailable',
    `a human has to approve this run (${rule}: ${why}), and this client cannot ask one`,
    {
      next:
        rule === 'mode:ask'
          ? `use a client that supports elicitation${others}, or the operator sets POLYCRATE_MCP_RUN_MODE=trusted`
          : `use a client that supports elicitation${others}, or run it in a terminal with the Polycrate CLI`,
    },
  );
}

/** `wait_seconds` only says how long to wait, so it may change between question and answer. */
function digestOf({ tool, input }: Call): string {
  const { wait_seconds: _, ...bound } = input as Record<string, unknown>;
  return sha256(canonicalJson([tool, bound]));
}
