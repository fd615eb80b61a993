import { TAKEN } from '../adapters/host/detacher.ts';
import type { App } from '../compose.ts';
import { LEASE_MS, type Handover } from '../runs/supervision.ts';

/** Goes on with runs whose server ended: takes what stdin names, adopts the rest, and ends with the last run. */
export async function supervise(app: App): Promise<void> {
  const handovers = await readHandovers();
  const { supervision, supervisor } = app;
  const owner = supervision.processes.self();
  for (const { guard, packet } of handovers) {
    const lease = await supervision.leases.take(guard, owner, supervision.clock.now() + LEASE_MS);
    if (lease) void supervisor.launch(lease, { kind: lease.executor, packet });
  }
  await supervisor.recover();
  process.stdout.write(TAKEN);
  // A client that ends its whole process group must not end the runs with it.
  process.on('SIGHUP', () => undefined);
  do await supervisor.idle();
  while ((await supervisor.recover()) > 0);
  await app.close();
}

async function readHandovers(): Promise<Handover[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text.trim() === '' ? [] : (JSON.parse(text) as Handover[]);
}
