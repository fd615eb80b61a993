import { z } from 'zod';
import { RUN_STATUSES, type ActionRun, type RunEvent, type RunEventKind } from '../runs/action-run.ts';
import type { Lease } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { approvalRequest, count, planned, prose, steps, time, word, wrongIn } from './record-parts.ts';

const execution = {
  status_reason: prose.nullable(),
  launched: z.boolean(),
  started_at: time.nullable(),
  'executor.container': word.nullable(),
  'executor.image_digest': word.nullable(),
};
const begin = z.strictObject({ ...execution, status: z.literal('running') }).partial();
const gap = z.strictObject({ lines: count, bytes: count, cause: z.enum(['cap', 'engine', 'store']) });
const log = z.strictObject({
  lines: count,
  bytes: count,
  sha256: z.null(),
  redactions: z.null(),
  gap: gap.nullable(),
});
const end = z
  .strictObject({
    ...execution,
    exit_code: z.number().int().nullable(),
    finished_at: time,
    duration_ms: time.nullable(),
    log: log.nullable(),
    steps,
  })
  .partial()
  .extend({ status: z.enum(RUN_STATUSES).exclude(['pending', 'running']) });
const redactions = z.strictObject({
  count,
  values: count,
  fingerprints: z.array(z.strictObject({ fingerprint: word, times: count })).max(10_000),
});
const asked = z
  .strictObject({ ...planned, steps, policy_digest: word, policy_rule: word })
  .partial()
  .extend({
    approval_request: approvalRequest,
    // Nobody has agreed to it yet.
    approvals: z.array(z.never()).max(0),
    approval: z.null(),
    approved_at: z.null(),
  });

interface Members {
  facts: z.ZodType;
  private: z.ZodType;
}

const nothing = z.strictObject({});

/** What a runner may say of a run, by the kind of the event; every other kind is for the server, or for people. */
const SAYABLE: Partial<Record<RunEventKind, Members>> = {
  run_approval_asked: { facts: asked, private: nothing },
  run_started: { facts: begin, private: nothing },
  run_adopted: { facts: begin, private: nothing },
  run_cancel_requested: {
    facts: nothing,
    private: z.strictObject({ cancelled_by: word.nullable(), cancel_reason: prose.nullable() }).partial(),
  },
  run_alias_added: {
    facts: z.strictObject({
      alias: z.strictObject({ source: z.literal('cli'), endpoint: z.null(), id: word.min(1) }),
    }),
    private: nothing,
  },
  run_finished: {
    facts: end,
    private: z
      .strictObject({ 'log.sha256': z.string().regex(/^[0-9a-f]{64}$/), 'log.redactions': redactions })
      .partial(),
  },
};

/** Throws `refused` for what no supervisor tells of that run. */
export function refuseOddEvent(event: RunEvent, about: { run: ActionRun; lease: Lease }): void {
  const sayable = SAYABLE[event.kind];
  const why = sayable
    ? (wrongIn(sayable.facts, event.facts) ??
      wrongIn(sayable.private, event.private) ??
      tooSoon(event, about))
    : 'it is not for a runner to say';
  if (why !== null) throw new AppError('refused', `${event.kind}: ${why}`);
}

/** Nothing runs before others have agreed, where they have to. */
function tooSoon({ kind, facts }: RunEvent, { run, lease }: { run: ActionRun; lease: Lease }): string | null {
  const waits = lease.executor === 'approval';
  switch (kind) {
    case 'run_started':
    case 'run_adopted':
      return waits ? 'it waits for the agreement of others' : null;
    case 'run_finished':
      return waits && facts['launched'] !== false ? 'it waits for the agreement of others' : null;
    case 'run_approval_asked':
      return waits ? null : 'it waits for nobody';
    case 'run_alias_added':
      return (facts['alias'] as { id: string }).id === run.id ? 'it is the id of the run itself' : null;
    default:
      return null;
  }
}
