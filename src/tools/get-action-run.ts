import { z } from 'zod';
import { compareRuns } from '../history/compare.ts';
import { findRun } from '../runs/wait.ts';
import * as field from './fields.ts';
import type { RunProof } from '../runs/run-ledger.ts';
import { fullRun, verifiedOf } from './present-run.ts';
import { defineTool } from './tool.ts';

export const getActionRun = defineTool({
  name: 'get_action_run',
  title: 'Get an Action Run',
  description:
    'Shows the whole record of one run: who, what, which version, where, when, how long, exit code, approval, pins. compare_to lists what differs from another run.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({ run_id: field.runId, compare_to: z.string().describe('Another run id').optional() }),
  output: z.object({
    run: field.runObject,
    relations: z.looseObject({}),
    proof: z.looseObject({}),
    differences: field.openObjects,
  }),
  async run({ ledger, history }, { run_id, compare_to }) {
    const run = await findRun(ledger, run_id);
    const other = compare_to === undefined ? null : await findRun(ledger, compare_to);
    return {
      run: fullRun(run),
      relations: {
        retrigger_of: run.retrigger_of,
        retriggered_as: await history.retriggersOf(run.id, 20),
        parent: run.parent,
        log: `polycrate://runs/${run.id}/log`,
      },
      proof: {
        source: run.source,
        evidence: run.evidence,
        elsewhere: run.evidence?.elsewhere ?? null,
        log_sha256: run.log?.sha256 ?? null,
        ...chainOf(await ledger.proof(run.id)),
      },
      differences: other ? compareRuns(other, run) : [],
    };
  },
});

/** Where the run stands in the chain, and the last verification that reached it. */
function chainOf(proof: RunProof | null): Record<string, unknown> {
  if (!proof) return {};
  const { events, head, verified } = proof;
  return { events: events.map(({ seq }) => seq), head, verified: verifiedOf(verified) };
}
