import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

/** A proxy as companies have them: CONNECT, and requests with a whole URL. */
export async function startProxy(): Promise<{ port: number; seen: string[]; stop(): Promise<void> }> {
  const seen: string[] = [];
  const proxy: Server = createServer((request, response) => {
    seen.push(request.url!);
    const target = new URL(request.url!);
    const socket = connect(Number(target.port), target.hostname, () => {
      const head = Object.entries(request.headers).map(([name, value]) => `${name}: ${String(value)}`);
      socket.write(
        `${request.method} ${target.pathname}${target.search} HTTP/1.0\r\n${head.join('\r\n')}\r\n\r\n`,
      );
    });
    let raw = Buffer.alloc(0);
    socket.on('data', (chunk) => (raw = Buffer.concat([raw, chunk])));
    socket.on('close', () => response.end(raw.subarray(raw.indexOf('\r\n\r\n') + 4)));
  });
  proxy.on('connect', (request, client, head) => {
    seen.push(request.url!);
    const [host, port] = request.url!.split(':');
    const socket = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.write(head);
      socket.pipe(client).pipe(socket);
    });
    socket.on('error', () => client.destroy());
    client.on('error', () => socket.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: (proxy.address() as AddressInfo).port,
    seen,
    async stop() {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
