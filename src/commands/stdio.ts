import type { App } from '../compose.ts';
import { serveOverStdio } from '../server/stdio.ts';
import { createHousekeeping } from './housekeeping.ts';

/** The server of one client: serves until stdin closes, then passes open runs to a process that stays. */
export async function stdio(app: App): Promise<void> {
  const housekeeping = createHousekeeping(app);
  await serveOverStdio({
    ...app.server,
    onFirstCall: () => {
      void app.prepare();
      housekeeping.begin();
    },
    onQuiet: () => void app.prepare(),
  });
  await housekeeping.end();
}
