import { once } from 'node:events';
import type { RunnerApp } from '../compose.ts';
import { messageOf } from '../shared/errors.ts';

const RECOVER_EVERY_MS = 5_000;

/** Executes for a team server until SIGTERM, then passes open runs to a process that stays. */
export async function runner(app: RunnerApp): Promise<void> {
  const { supervisor, approvals, log } = app;
  const recover = (): void => {
    supervisor.recover().catch((error: unknown) => {
      log('warn', 'open runs of ended processes could not be looked for', { error: messageOf(error) });
    });
  };
  // A second signal must not end the process while it passes open runs on.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  const asked = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const attendance = app.attend();
  let recovering: NodeJS.Timeout | null = null;
  try {
    await Promise.race([attendance.entered, asked]);
    process.stderr.write(`polycrate-mcp: runner ${app.name} works for ${app.config.server}\n`);
    approvals.begin();
    recover();
    recovering = setInterval(recover, RECOVER_EVERY_MS).unref();
    await asked;
  } finally {
    if (recovering) clearInterval(recovering);
    await attendance.end();
    await approvals.end();
    await handOver(app);
    await app.close();
  }
}

async function handOver({ supervisor, detacher, log }: RunnerApp): Promise<void> {
  const { released, unstarted } = await supervisor.handOver();
  if (released + unstarted.length === 0) return;
  await detacher.detach(unstarted).catch((error: unknown) => {
    log(
      'error',
      'no process could be started to go on with open runs; the next runner of this folder takes them',
      {
        error: messageOf(error),
      },
    );
  });
}
