import { once } from 'node:events';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { messageOf } from '../shared/errors.ts';
import { createServerFactory, type ServerParts } from './mcp-server.ts';

/** Serves both protocol eras over stdin and stdout until the client closes or a signal asks to end. */
export async function serveOverStdio(parts: ServerParts): Promise<void> {
  const handle = serveStdio(createServerFactory(parts), {
    onerror: (error) => parts.log('warn', 'protocol error', { error: messageOf(error) }),
  });
  // A client that is gone closes stdout first, sometimes: not worth a crash.
  process.stdout.on('error', () => undefined);
  // A second signal must not end the process while it passes open runs on.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  await Promise.race([
    once(process.stdin, 'end'),
    once(process.stdin, 'close'),
    once(process, 'SIGTERM'),
    once(process, 'SIGINT'),
  ]);
  await handle.close();
}
