import { messageOf } from '../shared/errors.ts';
import { copyFolder, sayBroughtBack } from './private-copy.ts';
import type { LeaseGuard } from './run-ledger.ts';
import type { RunRedaction } from './run-redaction.ts';
import type { LaunchPacket, SupervisionPorts } from './supervision.ts';

/** A run that somebody agreed to is held to the files that they agreed to; any other has nothing to do here. */
export async function makeCopy(
  { copies, files }: Pick<SupervisionPorts, 'copies' | 'files'>,
  run_id: string,
  { copy }: Pick<LaunchPacket, 'copy'>,
): Promise<void> {
  if (copy) await copies.make(copyFolder(files, run_id), copy);
}

/**
 * Before the end is told, so that who hears of it finds in the workspace what the action wrote. A supervisor that
 * adopted the run does the same: it finds the copy by the run.
 */
export async function bringBack<E extends { status_reason: string | null }>(
  ports: Pick<SupervisionPorts, 'copies' | 'files' | 'log'>,
  { run_id }: LeaseGuard,
  end: E,
  redaction: Pick<RunRedaction, 'text'>,
): Promise<E> {
  const said = await whatToSay(ports, run_id);
  if (said === null) return end;
  const why = redaction.text(said);
  ports.log('warn', 'not all that an action wrote is where it put it', { run: run_id, why });
  return { ...end, status_reason: end.status_reason === null ? why : `${end.status_reason}; ${why}` };
}

async function whatToSay(
  { copies, files }: Pick<SupervisionPorts, 'copies' | 'files'>,
  run_id: string,
): Promise<string | null> {
  try {
    const ended = { folder: copyFolder(files, run_id), run_id, kept: files.kept(run_id) };
    return sayBroughtBack(await copies.bringBack(ended), run_id);
  } catch (error) {
    const why = messageOf(error);
    return `what the action wrote into the folder of its block could neither be brought back into the workspace nor kept (${why})`;
  }
}
