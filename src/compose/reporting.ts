import { systemClock } from '../adapters/host/host.ts';
import type { App } from '../compose.ts';
import type { Records } from '../history/records.ts';
import { verifyLedger } from '../ledger/verify-ledger.ts';
import type { ApiDirectory } from '../platform/endpoints.ts';
import { createSubmitter, type Submitter } from '../platform/submit.ts';
import type { SupervisionPorts } from '../runs/supervision.ts';
import { messageOf } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';

interface SubmitterParts {
  records: Records;
  supervision: SupervisionPorts;
  apis: ApiDirectory;
  verification: App['verification'];
}

/** Takes runs to the Polycrate API; does nothing before it is told to. */
export function submitterOf({ records, supervision, apis, verification }: SubmitterParts): Submitter {
  const { logs, processes, log } = supervision;
  const { outbox, ledger } = records;
  const checkpoint = checkpoints(verification);
  return createSubmitter({
    outbox, ledger, logs, apis, checkpoint, processes, log, clock: systemClock, random: Math.random,
  }); // prettier-ignore
}

/** The same, with news of runs passed on to who reports them. */
export function reportingSupervision(ports: SupervisionPorts, submitter: Submitter): SupervisionPorts {
  const { ledger } = ports;
  return {
    ...ports,
    ledger: {
      ...ledger,
      async append(event, guard, lease) {
        const run = await ledger.append(event, guard, lease);
        submitter.nudge();
        return run;
      },
    },
  };
}

const FRESH_MS = 10 * 60_000;
/** The first verification of a large ledger takes longer: reports go without a checkpoint until it is done. */
const PATIENCE_MS = 10_000;

/** The newest signed checkpoint, verified anew now and then; null while there is none. */
function checkpoints(verification: App['verification']): () => Promise<JsonObject | null> {
  let newest: JsonObject | null = null;
  let made = 0;
  let making: Promise<void> | null = null;
  const make = async (): Promise<void> => {
    try {
      const { checkpoint } = await verifyLedger(verification, { anchor: null, incremental: true });
      newest = checkpoint && { ...checkpoint };
      made = systemClock.now();
    } catch (error) {
      verification.log('warn', 'no checkpoint goes with reports', { error: messageOf(error) });
    }
  };
  return async () => {
    if (systemClock.now() - made > FRESH_MS) making ??= make().finally(() => (making = null));
    if (making && !newest) await Promise.race([making, systemClock.sleep(PATIENCE_MS)]);
    return newest;
  };
}
