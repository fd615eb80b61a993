import { TAKEN } from '../adapters/host/detacher.ts';
import type { App } from '../compose.ts';
import { LEASE_MS, type Handover } from '../runs/supervision.ts';

/** `submitter`: null where it is not this process that reports. */
type Supervising = Pick<App, 'supervision' | 'supervisor' | 'close'> & { submitter: App['submitter'] | null };

/** Goes on with runs whose server ended: takes what stdin names, adopts the rest, and ends with the last run. */
export async function supervise(app: Supervising): Promise<void> {
  const handovers = await readHandovers();
  const { supervision, supervisor } = app;
  const owner = supervision.processes.self();
  for (const { guard, packet } of handovers) {
    const lease = await supervision.leases.take(guard, owner, supervision.clock.now() + LEASE_MS);
    const kind = lease?.executor;
    if (!lease || !kind || kind === 'workflow' || kind === 'approval' || kind === 'remote') continue;
    void supervisor.launch(lease, { kind, packet });
  }
  await supervisor.recover();
  // The server that waits for this word may be gone by now, which is no reason to leave the runs alone.
  process.stdout.on('error', () => undefined);
  process.stdout.write(TAKEN);
  // A client that ends its whole process group must not end the runs with it.
  process.on('SIGHUP', () => undefined);
  app.submitter?.run();
  await untilNothingIsOpen(app);
  await app.submitter?.drain(DELIVER_MS);
  await app.close();
}

/** An API that does not answer is not waited for; one that hangs, so long. */
const DELIVER_MS = 60_000;
const LOOK_AGAIN_MS = 2_000;
/** Runs whose engine stays out of reach are left to the next server. */
const PATIENCE_MS = 15 * 60 * 1000;

async function untilNothingIsOpen({ supervision: { clock }, supervisor }: Supervising): Promise<void> {
  let busyUntil = clock.now();
  for (;;) {
    const began = clock.now();
    await supervisor.idle();
    // Longer than a failed attempt to adopt: something was really supervised.
    if (clock.now() - began > LOOK_AGAIN_MS) busyUntil = clock.now();
    if ((await supervisor.recover()) === 0 || clock.now() - busyUntil > PATIENCE_MS) return;
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

async function readHandovers(): Promise<Handover[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text.trim() === '' ? [] : (JSON.parse(text) as Handover[]);
}
