import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Above the bound: while none waits, so many more may come before they are turned away. */
const MARGIN = 100;

/** Bounds the connections of a server: a new one takes the place of the one that has waited longest without a request. */
export function boundConnections(server: Server, most: number): void {
  /** In the order in which they began to wait. */
  const waiting = new Set<Socket>();
  let open = 0;
  server.maxConnections = most + MARGIN;
  server.on('connection', (socket: Socket) => {
    open += 1;
    waiting.add(socket);
    socket.once('close', () => {
      open -= 1;
      waiting.delete(socket);
    });
    if (open <= most) return;
    const [longest] = waiting;
    longest?.destroy();
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    waiting.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) waiting.add(socket);
    });
  });
}
