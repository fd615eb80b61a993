import { z } from 'zod';
import { compareRuns, type Difference } from '../history/compare.ts';
import type { ActionRun, RecordedStep } from '../runs/action-run.ts';
import { findRun } from '../runs/wait.ts';
import * as field from './fields.ts';
import { NOT_DUE, type Submission } from '../runs/outbox.ts';
import type { RunProof } from '../runs/run-ledger.ts';
import { clipped, portionOf, restOf } from './portion.ts';
import { fullRun, iso, verifiedOf } from './present-run.ts';
import { stepRows } from './present-steps.ts';
import { summaryOf } from './run-summary.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

export const getActionRun = defineTool({
  name: 'get_action_run',
  title: 'Get an Action Run',
  description:
    'Shows the whole record of one run: who, what, version, where, when, how long, exit code, approval, pins. compare_to lists what differs from another run.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({
    run_id: field.runId,
    compare_to: z.string().max(200).describe('Another run id').optional(),
    cursor: field.sameCursor,
  }),
  output: z.object({
    run: field.runObject,
    relations: z.looseObject({}),
    proof: z.looseObject({}),
    differences: field.openObjects,
  }),
  async run(services, { run_id, compare_to, cursor }) {
    const run = await findRun(services.ledger, run_id);
    const other = compare_to === undefined ? null : await findRun(services.ledger, compare_to);
    const lists = await listsOf(services, run, other);
    const about = clipped({ ...(await aboutRun(services, run)), ...(other && { compared_to: other.id }) }) as About;
    const question = ['get_action_run', run.id, other?.id ?? null];
    const portion = portionOf(lists, { cursor, question, beside: [recordWith(run, {}), about] });
    const shown = portion.shown as Partial<Lists>;
    return {
      run: clipped(recordWith(run, shown)) as ReturnType<typeof fullRun>,
      ...about,
      relations: { ...about.relations, ...(run.steps && { steps: (shown.steps ?? []).map(({ row }) => row) }) },
      differences: shown.differences ?? [],
      ...restOf(portion),
    };
  }, // prettier-ignore
});

type About = Awaited<ReturnType<typeof aboutRun>>;

async function aboutRun(services: Services, run: ActionRun) {
  const { ledger, history, outbox } = services;
  const summary = await summaryOf(services, run);
  return {
    ...(summary !== null && { summary }),
    relations: {
      retrigger_of: run.retrigger_of,
      retriggered_as: await history.retriggersOf(run.id, 20),
      parent: run.parent,
      ...undelivered(await outbox.find(run.id)),
      log: `polycrate://runs/${run.id}/log`,
    },
    proof: {
      source: run.source,
      evidence: run.evidence,
      elsewhere: run.evidence?.elsewhere ?? null,
      log_sha256: run.log?.sha256 ?? null,
      ...chainOf(await ledger.proof(run.id)),
    },
  };
}

/** What may be long in a record; the steps are in it twice, as recorded and as they went. */
interface Lists {
  differences: Difference[];
  steps: { recorded: RecordedStep; row: Record<string, unknown> }[];
  config_keys: [string, string][];
  fingerprints: { fingerprint: string; times: number }[];
}

async function listsOf(services: Services, run: ActionRun, other: ActionRun | null): Promise<Lists> {
  const rows = run.steps ? await stepRows(services, run) : [];
  return {
    differences: other ? await differences(services, other, run) : [],
    steps: (run.steps ?? []).map((recorded, index) => ({ recorded, row: rows[index] ?? {} })),
    config_keys: Object.entries(run.pins?.config_keys ?? {}),
    fingerprints: run.log?.redactions?.fingerprints ?? [],
  };
}

/** The record with so much of its long lists. */
function recordWith(run: ActionRun, { config_keys = [], steps = [], fingerprints = [] }: Partial<Lists>): ReturnType<typeof fullRun> {
  const { pins, log } = run;
  return fullRun({
    ...run,
    pins: pins && { ...pins, config_keys: Object.fromEntries(config_keys) },
    ...(run.steps && { steps: steps.map(({ recorded }) => recorded) }),
    log: log?.redactions ? { ...log, redactions: { ...log.redactions, fingerprints } } : log,
  });
} // prettier-ignore

/** What differs, the outcome of their Ansible tasks included. */
async function differences(services: Services, other: ActionRun, run: ActionRun): Promise<Difference[]> {
  const [before, after] = [await summaryOf(services, other), await summaryOf(services, run)];
  const found = compareRuns(other, run);
  return before === after ? found : [...found, { field: 'summary', before, after }];
}

/** What is still to be reported to a Polycrate API, and why it is not. */
function undelivered(submission: Submission | null): Record<string, unknown> {
  if (!submission) return {};
  const { endpoint, phase, attempts, problem, due_at } = submission;
  const waits = phase === 'dead' || due_at === NOT_DUE;
  return {
    undelivered: { endpoint, state: phase, attempts, problem, next_attempt_at: waits ? null : iso(due_at) },
  };
}

/** Where the run stands in the chain, and the last verification that reached it. */
function chainOf(proof: RunProof | null): Record<string, unknown> {
  if (!proof) return {};
  const { events, head, verified } = proof;
  return { events: events.map(({ seq }) => seq), head, verified: verifiedOf(verified) };
}
