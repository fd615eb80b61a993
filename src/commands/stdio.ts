import { anchorPlace } from '../adapters/host/anchor-places.ts';
import type { App } from '../compose.ts';
import { startAnchoring } from '../ledger/anchor.ts';
import { messageOf } from '../shared/errors.ts';
import { serveOverStdio } from '../server/stdio.ts';

const RECOVER_EVERY_MS = 5_000;

/** The server of one client: serves until stdin closes, then passes open runs to a process that stays. */
export async function stdio(app: App): Promise<void> {
  let recovering: NodeJS.Timeout | null = null;
  let anchoring: ReturnType<typeof startAnchoring> | null = null;
  const recover = (): void => {
    app.supervisor.recover().catch((error: unknown) => {
      app.log('warn', 'open runs of ended processes could not be looked for', { error: messageOf(error) });
    });
  };
  await serveOverStdio({
    ...app.server,
    // Clients may start a server only to probe it, so the first call is where work begins.
    onFirstCall() {
      anchoring ??= keepAnchors(app);
      if (recovering || app.config.runMode === 'read-only') return;
      recover();
      recovering = setInterval(recover, RECOVER_EVERY_MS).unref();
    },
  });
  if (recovering) clearInterval(recovering);
  // TypeScript does not see the assignment in the callback.
  (anchoring as ReturnType<typeof startAnchoring> | null)?.stop();
  await handOver(app);
  await app.close();
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

async function handOver({ supervisor, detacher, log }: App): Promise<void> {
  if (supervisor.open() === 0) return;
  const { released, unstarted } = await supervisor.handOver();
  if (released + unstarted.length === 0) return;
  await detacher.detach(unstarted).catch((error: unknown) => {
    log('error', 'no process could be started to go on with open runs; the next server takes them', {
      error: messageOf(error),
    });
  });
}
