import type { Decision } from '../actions/policy.ts';
import { AppError } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import type { Intent, IntentRequest, Replay } from './run-ledger.ts';
import type { Start, StartPorts, StartRequest } from './start.ts';
import { UNTOLD_MS } from './untold.ts';

// What all requests to start something have in common: one launch for one call, and refusals.

export const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000;

/** What makes two calls the same one: an idempotency key, or all of principal, workspace and arguments. */
export type Sameness = Pick<IntentRequest, 'idempotency' | 'untold'>;

export type Asked = Pick<StartRequest, 'caller' | 'idempotency_key' | 'telling' | 'entry'>;

export function samenessOf(
  ports: Pick<StartPorts, 'processes'>,
  { caller, idempotency_key }: Asked,
  what: { workspace: Pick<Workspace, 'organization' | 'name'>; arguments: object },
): Sameness {
  const scope = keyScopeOf(caller, what.workspace);
  const arguments_digest = sha256(canonicalJson(what.arguments));
  if (idempotency_key !== undefined) {
    const valid_ms = IDEMPOTENCY_MS;
    return { idempotency: { scope, key: idempotency_key, arguments_digest, valid_ms }, untold: null };
  }
  const call = sha256(canonicalJson({ scope, arguments_digest }));
  return { idempotency: null, untold: { call, teller: ports.processes.self(), valid_ms: UNTOLD_MS } };
}

/** An idempotency key means something to one principal in one workspace. */
export function keyScopeOf({ principal }: Pick<Asked, 'caller'>['caller'], workspace: Pick<Workspace, 'organization' | 'name'>): string {
  return `${principal.kind}:${principal.subject}@${addressOf(workspace)}`;
} // prettier-ignore

/** The answer to a call that is the same as an earlier one; null: it is a new one. */
export async function earlierStart(
  ports: StartPorts,
  asked: Asked,
  sameness: Sameness,
): Promise<Extract<Start, { outcome: 'replayed' }> | null> {
  const { idempotency, untold } = sameness;
  const earlier: Replay | null = idempotency
    ? await ports.supervision.ledger.replay(idempotency, ports.clock.now())
    : untold && (await ports.tellings.claim(untold.call));
  return earlier && told(asked, sameness, settled(earlier));
}

/** Without a key, it counts whether the caller gets to know the run. */
export function told<S extends Extract<Start, { outcome: 'started' | 'replayed' }>>(
  { telling }: Asked,
  { untold }: Sameness,
  start: S,
): S {
  if (untold) telling.of({ run_id: start.run.id, at: start.run.requested_at });
  return start;
}

export function refuseUnlessSame(digest: string, expected: string | undefined): void {
  if (expected === undefined || expected === digest) return;
  throw new AppError(
    'plan_changed',
    'the plan is not the one of plan_digest any more: files, image or settings changed',
    {
      next: 'call plan_action, look at what would run now, and pass its digest',
      details: { plan_digest: digest },
    },
  );
}

export function refuseDenied(decision: Decision): void {
  if (decision.decision !== 'deny') return;
  throw new AppError('refused', `not run (${decision.rule}): ${decision.why}`, {
    ...(decision.remedy && { next: decision.remedy }),
  });
}

export function refuseWithoutReason({ reason, rule }: Decision, given: string | undefined): void {
  if (reason === undefined || (given ?? '').trim() !== '') return;
  throw new AppError('invalid_argument', `the rule ${rule} wants a reason for every run`, {
    next: 'say in reason why it is to run, in words that a person can judge',
    details: { argument: 'reason' },
  });
}

/** Stores the intent together with the call that asks for it. */
export async function storeIntent(ports: StartPorts, { entry }: Asked, intent: IntentRequest): Promise<Intent> {
  const store = (): Promise<Intent> =>
    entry.launch(intent, (whole) => ports.supervision.ledger.request(whole));
  const stored = await store();
  // The run in the way was an orphan; if it is closed by now, this one may go.
  return stored.outcome === 'active' && (await ports.supervisor.recover()) > 0 ? store() : stored;
} // prettier-ignore

/** Turns what the ledger decided into the caller's answer. */
export function settled(
  intent: Exclude<Intent, { outcome: 'stored' }>,
  what: 'block' | 'workflow' = 'block',
): Extract<Start, { outcome: 'replayed' }> {
  switch (intent.outcome) {
    case 'replayed':
      return intent;
    case 'key_reused':
      throw new AppError(
        'key_reused',
        intent.expired
          ? `this idempotency_key is older than 24 hours and stands for run ${intent.run_id}`
          : `this idempotency_key stands for run ${intent.run_id}, which had other arguments`,
        { next: 'use a new idempotency_key for a new run', details: { run_id: intent.run_id } },
      );
    case 'active': {
      const instead = what === 'block' ? ', or allow_concurrent: true' : '';
      throw new AppError('already_active', `run ${intent.run_id} of this ${what} is still open`, {
        next: `wait_for_action_run, or cancel_action_run if a server of this ledger executes it, with run_id ${intent.run_id}${instead}`,
        details: { run_id: intent.run_id },
      });
    }
    case 'limited': {
      const { rule, what, most } = intent;
      const said = what === 'concurrency' ? `${most} of its runs at once` : `${most} of its runs in an hour`;
      throw new AppError('refused', `not run (${rule}): the rule allows ${said}`, {
        next:
          what === 'concurrency'
            ? 'wait until one of them has ended'
            : 'wait, or ask the operator who keeps the rules',
      });
    }
    case 'burnt':
      throw new AppError('refused', 'this approval was used already: one approval starts one run', {
        next: 'call the tool again, which asks the human again',
      });
  }
}

/** Where the run will be reported to; refused beside an open run there, if the operator wants it so. */
export async function reportedTo(
  { reporting }: Pick<StartPorts, 'reporting'>,
  { workspace, block }: { workspace: Pick<Workspace, 'organization' | 'name'>; block: { name: string } },
): Promise<IntentRequest['submission']> {
  if (!reporting) return null;
  const { organization, name } = workspace;
  await reporting.refuseBeside({ organization, workspace: name, block: block.name });
  return await reporting.target(workspace);
}
