import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP door to a PostgreSQL socket that breaks a connection at a chosen moment. */
export interface PostgresProxy {
  port: number;
  /**
   * Breaks the next `times` connections over which a statement with these words comes: before the server gets it,
   * or when the server has carried it out and answers.
   */
  breakAt(moment: 'before' | 'after', words: string, times?: number): void;
  /** No more of that. */
  heal(): void;
  /** Connections broken that way so far. */
  broken(): number;
  /** Refuses everything until it is opened again. */
  shut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function openPostgresProxy(socket: string): Promise<PostgresProxy> {
  const sockets = new Set<Socket>();
  let plan: { moment: 'before' | 'after'; words: string; times: number } | null = null;
  let broken = 0;
  let refusing = false;

  const server = createServer((client) => {
    if (refusing) return void client.destroy();
    const database = connect(socket);
    for (const one of [client, database]) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        client.destroy();
        database.destroy();
      });
    }
    let swallowing = false;
    const broke = (): void => {
      broken += 1;
      client.destroy();
      // The server carries out what it has, and finds nobody to answer.
      database.end();
    };
    client.on('data', (bytes) => {
      if (plan && plan.times > 0 && bytes.includes(plan.words)) {
        plan.times -= 1;
        if (plan.moment === 'before') return broke();
        swallowing = true;
      }
      database.write(bytes);
    });
    database.on('data', (bytes) => (swallowing ? broke() : client.write(bytes)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    breakAt: (moment, words, times = 1) => (plan = { moment, words, times }),
    heal: () => (plan = null),
    broken: () => broken,
    shut() {
      refusing = true;
      for (const one of sockets) one.destroy();
    },
    open: () => (refusing = false),
    async close() {
      for (const one of sockets) one.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
