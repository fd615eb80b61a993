import type { App } from '../compose.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { addressOf } from '../workspaces/workspace.ts';
import { count } from './count.ts';

/** Imports the CLI's logs of every workspace. Answers 1 if a file could not be read. */
export async function historyImport({ services, log }: App): Promise<number> {
  const workspaces = await services.store.list();
  let broken = 0;
  for (const workspace of workspaces) {
    const result = await services.foreign.importLogs(workspace, {
      onProgress: (done, total) => log('debug', 'importing', { workspace: addressOf(workspace), done, total }),
    });
    broken += result.broken.length;
    const { files, added, changed } = result;
    process.stdout.write(`${cleanLine(addressOf(workspace))}: ${count(files, 'file')} read, ${count(added, 'new run')}, ${changed} changed\n`);
    for (const problem of result.broken) process.stdout.write(`  ${cleanLine(services.redaction.text(problem))}\n`);
  }
  if (workspaces.length === 0) process.stdout.write('There is no workspace.\n');
  await services.foreign.close();
  return broken === 0 ? 0 : 1;
} // prettier-ignore
