import { anchorPlace } from '../adapters/host/anchor-places.ts';
import type { App } from '../compose.ts';
import { startAnchoring } from '../ledger/anchor.ts';
import { messageOf } from '../shared/errors.ts';

const RECOVER_EVERY_MS = 5_000;

/** What a server does besides answering, from the first call on until it ends. */
export interface Housekeeping {
  /** Clients may start a server only to probe it, so the first call is where work begins. */
  begin(): void;
  /** Passes open runs to a process that stays, and closes everything. */
  end(): Promise<void>;
}

export function createHousekeeping(app: App): Housekeeping {
  let recovering: NodeJS.Timeout | null = null;
  let anchoring: ReturnType<typeof startAnchoring> | null = null;
  const recover = (): void => {
    app.supervisor.recover().catch((error: unknown) => {
      app.log('warn', 'open runs of ended processes could not be looked for', { error: messageOf(error) });
    });
  };
  return {
    begin() {
      anchoring ??= keepAnchors(app);
      app.mirror.run();
      app.webhooks.run();
      if (recovering || app.config.runMode === 'read-only') return;
      app.submitter.run();
      app.approvals.begin();
      app.journal?.keeper.begin();
      recover();
      recovering = setInterval(recover, RECOVER_EVERY_MS).unref();
    },
    async end() {
      if (recovering) clearInterval(recovering);
      anchoring?.stop();
      await Promise.all([app.approvals.end(), app.webhooks.stop()]);
      await handOver(app);
      await deliverTheRest(app);
      await app.close();
    },
  };
}

/** Null: nothing is written by itself. */
function keepAnchors({ services, verification, config }: App): ReturnType<typeof startAnchoring> | null {
  if (!services.anchoring) return null;
  const { every_ms, place } = services.anchoring;
  const events = async (): Promise<number> => (await services.ledger.status()).events;
  return startAnchoring(
    { ...verification, events, place: anchorPlace(place, config.childEnvironment) },
    every_ms,
  );
}

/** Most clients end a server that stays for longer than two seconds. */
const DELIVER_MS = 1_200;

/** What is not delivered by then is left to a process that has the time. */
async function deliverTheRest({ submitter, supervision, detacher, config, log }: App): Promise<void> {
  if (config.runMode === 'read-only' || !submitter.isRunning()) return;
  try {
    if ((await submitter.drain(DELIVER_MS)) || !supervision.executes) return;
    await detacher.detach([]);
  } catch (error) {
    log('warn', 'reports are left to the next server', { error: messageOf(error) });
  }
}

async function handOver({ supervisor, supervision, detacher, log }: App): Promise<void> {
  const { released, unstarted } = await supervisor.handOver();
  // A server that executes nothing leaves what it follows to the next one.
  if (!supervision.executes || released + unstarted.length === 0) return;
  await detacher.detach(unstarted).catch((error: unknown) => {
    log('error', 'no process could be started to go on with open runs; the next server takes them', {
      error: messageOf(error),
    });
  });
}
