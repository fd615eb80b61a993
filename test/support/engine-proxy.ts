import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP door to the engine's socket that can be slammed and opened again. */
export interface EngineProxy {
  address: string;
  /** Breaks every connection and refuses new ones. */
  cut(): void;
  restore(): void;
  close(): Promise<void>;
}

export async function openEngineProxy(socketPath: string): Promise<EngineProxy> {
  const open = new Set<Socket>();
  let refusing = false;
  const server = createServer((client) => {
    if (refusing) return void client.destroy();
    const engine = connect(socketPath);
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      open.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    refusing = true;
    for (const socket of open) socket.destroy();
  };
  return {
    address: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    restore: () => void (refusing = false),
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
