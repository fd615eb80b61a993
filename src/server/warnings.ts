import { warningOf } from '../runs/trail.ts';
import { messageOf } from '../shared/errors.ts';
import type { Services } from '../tools/services.ts';

/** What whoever reads an answer, about this run or about none, has to know of the ledger that it comes from. */
export async function warningsOf(
  { recorder, outage, start }: Services,
  run_id: string | null,
): Promise<string[]> {
  const journal = await outage?.says(run_id).catch((error: unknown) => {
    start.log('warn', 'what the journal has could not be told', { error: messageOf(error) });
    return null;
  });
  return [warningOf(recorder.standing()), journal ?? null].filter((text) => text !== null);
}
