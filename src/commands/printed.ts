import type { App } from '../compose.ts';
import type { RunQuery } from '../history/search.ts';
import { fingerprintOf } from '../runs/run-redaction.ts';
import { AppError } from '../shared/errors.ts';

const PAGE = 500;

/** Names the runs that printed the value on stdin, before it was masked. Answers how many there are. */
export async function printed({ services: { ledger, history } }: App): Promise<number> {
  const fingerprint = fingerprintOf(await ledger.key('runs'), await valueOnStdin());
  let found = 0;
  let after: RunQuery['after'] = null;
  do {
    const page = await history.search({
      filters: { span: { since: null, until: null }, time_field: 'recorded' },
      include_excluded: true,
      order: 'oldest',
      limit: PAGE,
      after,
    });
    for (const { id, workspace, block, action, log } of page.runs) {
      const printed = log?.redactions?.fingerprints.find((one) => one.fingerprint === fingerprint);
      if (!printed) continue;
      found += 1;
      process.stdout.write(`${id}  ${workspace}/${block} ${action}  ${printed.times} times\n`);
    }
    after = page.next;
  } while (after !== null);
  if (found === 0) process.stdout.write('No run of this ledger is known to have printed it.\n');
  return found;
}

/** Never an argument: arguments are seen by every process of the machine. */
async function valueOnStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const value = Buffer.concat(chunks).toString('utf8').trim();
  if (value !== '') return value;
  throw new AppError('configuration', 'there is no value on stdin', {
    next: 'for example: `polycrate-mcp ledger printed < file-with-the-value`',
  });
}
