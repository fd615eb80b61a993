import type { App } from '../compose.ts';
import { startAnchoring } from '../runs/anchor.ts';
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
      if (app.anchoring) anchoring ??= startAnchoring(app.anchoring.ports, app.anchoring.every_ms);
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
