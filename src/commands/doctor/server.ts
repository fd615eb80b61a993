import { composeRunner } from '../../compose.ts';
import type { Config } from '../../config.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { ok, problem, type Finding } from './finding.ts';

/** The server that this machine executes for: whether it is there, and takes the key. */
export async function checkServer(config: Config): Promise<Finding[]> {
  const app = composeRunner({ config, flags: [] });
  try {
    await app.supervision.leases.now();
    return [ok(`server ${config.server}: it takes this machine as a runner, by the name ${app.name}`)];
  } catch (error) {
    const fix = error instanceof AppError ? error.next : undefined;
    return [problem(messageOf(error), fix ? { fix } : {})];
  } finally {
    await app.close();
  }
}
