import { z } from 'zod';
import type { ActionRun, RecordedStep } from '../runs/action-run.ts';
import type { IntentRequest } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { sameJson } from '../shared/json.ts';
import {
  approval,
  client,
  planned,
  principal,
  prose,
  roles,
  steps,
  time,
  word,
  wrongIn,
} from './record-parts.ts';

const none = z.null();

/** What nothing has become of yet (`runs/initial-facts.ts`). */
const fresh = {
  aliases: z.array(z.never()).max(0),
  status: z.literal('pending'),
  status_reason: none,
  exit_code: none,
  launched: z.literal(false),
  started_at: none,
  finished_at: none,
  duration_ms: none,
  cancelled_by: none,
  cancel_reason: none,
  log: none,
  api: none,
  source: z.literal('ledger'),
};
const facts = z.strictObject({
  ...fresh,
  ...planned,
  id: z.uuid(),
  kind: z.enum(['action', 'workflow']),
  organization: word.nullable(),
  workspace: word,
  environment: z.strictObject({ value: word, origin: word }).nullable(),
  workflow: word.nullable(),
  step: word.nullable(),
  parent: z.uuid().nullable(),
  steps: steps.optional(),
  allow_failure: z.boolean().optional(),
  requested_at: time,
  approved_at: time.nullable(),
  trigger: z.enum(['mcp', 'workflow', 'retrigger']),
  retrigger_of: word.nullable(),
  policy_digest: word.nullable(),
  policy_rule: word.optional(),
  requester_roles: roles.optional(),
  evidence: z.strictObject({
    authenticated: z.array(word).max(20),
    claimed: z.array(word).max(20),
    cli: z.strictObject({ exit_code: z.literal('flattened'), streams: z.literal('merged') }).optional(),
  }),
});
const own = z.strictObject({
  hostname: word.nullable(),
  os_user: word.nullable(),
  principal: principal.nullable(),
  client: client.nullable(),
  reason: prose.nullable(),
  approval: approval.nullable(),
  workspace_path: prose.nullable(),
});

/** Throws `refused` for what is not the beginning of a run that a runner executes. */
export function refuseOddIntent({ event, lease }: IntentRequest): void {
  const wrong = wrongIn(facts, event.facts) ?? wrongIn(own, event.private);
  if (wrong !== null) refuse(wrong);
  const { id, requested_at } = event.facts;
  if (event.kind !== 'run_requested' || id !== event.run_id || lease.run_id !== event.run_id) {
    refuse('it is about another run');
  }
  if (requested_at !== event.at) refuse('it was requested at another time');
  if (lease.phase !== 'launching' || lease.ref !== null) refuse('nothing of it is there yet');
}

/** Throws `refused` unless that is the step of the workflow that its record names, asked for by whoever asked for the workflow. */
export function refuseOtherStep(parent: ActionRun, intent: IntentRequest): void {
  const { event, lease, idempotency, untold, burn } = intent;
  const step = parent.steps?.find(({ run_id }) => run_id === event.run_id);
  if (!step) return refuse('the record of its workflow does not name it');
  const other =
    differing(event.facts, factsOfStep(parent, step)) ?? differing(event.private, askedBy(parent));
  if (other !== null) refuse(`${other} is not that of its workflow`);
  if (lease.executor === 'approval' || lease.executor === 'workflow' || idempotency || untold || burn) {
    refuse('a step is asked for by its workflow alone');
  }
}

function factsOfStep(parent: ActionRun, { name, block, action }: RecordedStep): object {
  const { organization, workspace, workflow, approved_at, id } = parent;
  const place = { organization, workspace, workflow, step: name, block, action, parent: id };
  return { ...place, approved_at, kind: 'action', trigger: 'workflow', retrigger_of: null };
}

/** Erased members are missing. */
function askedBy({ principal = null, client = null, reason = null, approval = null }: ActionRun): object {
  return { principal, client, reason, approval };
}

function differing(members: Readonly<Record<string, unknown>>, expected: object): string | null {
  const other = Object.entries(expected).find(([name, value]) => !sameJson(members[name] ?? null, value));
  return other?.[0] ?? null;
}

function refuse(why: string): never {
  throw new AppError('refused', `not recorded: ${why}`);
}
