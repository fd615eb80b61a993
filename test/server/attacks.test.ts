import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, type TeamServer } from '../support/team-server.ts';

// What hostile clients do to the bytes of HTTP. Each of it must leave the others answered and nothing recorded.

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: TeamServer;
let token: string;

beforeAll(async () => {
  home = await tempFolder('attacks');
  const env = {
    POLYCRATE_MCP_WORKSPACES: home.path,
    POLYCRATE_MCP_RATE_LIMIT: 'none',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
  };
  server = await serve({ home: home.path, env });
  ({ token } = await makeKey({ home: home.path, env, name: 'ci', args: ['--role', 'admin'] }));
});
afterAll(async () => {
  expect(await server.end()).toBe(0);
  await home.remove();
});

async function opened(): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(server.url.port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes and reads until the server closes, or says no more for a while. */
async function said(text: string, quiet_ms = 1_000): Promise<string> {
  const socket = await opened();
  let answer = '';
  socket.setEncoding('latin1').on('data', (data: string) => (answer += data));
  const closed = once(socket, 'close');
  socket.write(text);
  const enough = new AbortController();
  await Promise.race([closed, sleep(quiet_ms, undefined, { signal: enough.signal }).catch(() => undefined)]);
  enough.abort();
  socket.destroy();
  return answer;
}

const ready = async (): Promise<number> => (await fetch(server.at('/readyz'))).status;
const runs = async (): Promise<number> => {
  const answer = await fetch(server.at('/api/v1/action-runs/'), {
    headers: { Authorization: `Bearer ${token}` },
  });
  return ((await answer.json()) as { count: number }).count;
};
const host = (): string => `Host: 127.0.0.1:${server.url.port}`;
const REPORT = JSON.stringify({ organization: 'acme', workspace: 'shop', block: 'db', action: 'smuggled' });
const post = (headers: string[], body: string): string =>
  [
    'POST /api/v1/cli/action-runs/start/ HTTP/1.1',
    host(),
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    ...headers,
    '',
    body,
  ].join('\r\n');

describe('requests that two parsers would read as two things', () => {
  const hidden = (): string => post([`Content-Length: ${REPORT.length}`], REPORT);
  const chunked = `${REPORT.length.toString(16)}\r\n${REPORT}\r\n0\r\n\r\n`;

  it.each([
    ['two lengths', () => post(['Content-Length: 2', `Content-Length: ${hidden().length}`], `{}${hidden()}`)],
    ['a list of lengths', () => post([`Content-Length: 2, ${hidden().length}`], `{}${hidden()}`)],
    [
      'a length and chunks',
      () => post(['Content-Length: 4', 'Transfer-Encoding: chunked'], chunked + hidden()),
    ],
    ['an encoding that is none', () => post(['Transfer-Encoding: xchunked'], chunked)],
    ['chunks that are not the last encoding', () => post(['Transfer-Encoding: chunked, identity'], chunked)],
    ['two encodings', () => post(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked)],
    ['a length with a sign', () => post([`Content-Length: +${REPORT.length}`], REPORT)],
    ['a space before the colon', () => post([`Content-Length : ${REPORT.length}`], REPORT)],
    [
      'a folded header',
      () => post(['X-A: b\r\n Content-Length: 3', `Content-Length: ${REPORT.length}`], REPORT),
    ],
    ['a bare line feed', () => post([`X-A: b\nContent-Length: ${REPORT.length}`], REPORT)],
    ['two hosts', () => post([host(), `Content-Length: ${REPORT.length}`], REPORT)],
    [
      'a chunk of a strange size',
      () => post(['Transfer-Encoding: chunked'], `0x5\r\n${REPORT}\r\n0\r\n\r\n`),
    ],
  ])('%s: refused, and the connection with it', async (_what, text) => {
    const answer = await said(text());
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    // One answer: what came behind it was not taken for a request.
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(answer).not.toContain('action_run_id');
    expect(await runs()).toBe(0);
  });

  it('has headers of a bounded size', async () => {
    expect(await said(post([`X-Long: ${'x'.repeat(20_000)}`, 'Content-Length: 2'], '{}'))).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    expect(await ready()).toBe(200);
  });
});

/** As many connections as the server takes, or as this machine lets one process open. */
const LIMIT = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))![1]);
const MANY = Math.min(10_000, LIMIT - 1_000);
/** Bytes that the server holds in memory. */
const held = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) * 1024;
const closed = (socket: Socket): Promise<unknown> =>
  // Not with `once`, which rejects with the error that comes before the close of some.
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));

describe.concurrent('slow clients', () => {
  const crowd = async (
    count: number,
  ): Promise<{ socket: Socket; kind: 'headers' | 'body' | 'nothing' }[]> => {
    const sockets: Socket[] = [];
    for (let n = 0; n < count; n += 500)
      sockets.push(...(await Promise.all(Array.from({ length: Math.min(500, count - n) }, opened))));
    // Some send a part of a header, some a body that never ends, some nothing at all.
    return sockets.map((socket, n) => {
      // Without somebody who reads, the end of a connection is not noticed.
      socket.resume();
      const kind = (['headers', 'body', 'nothing'] as const)[n % 3]!;
      if (kind === 'headers') socket.write(`POST /mcp HTTP/1.1\r\n${host()}\r\nX-Slow: `);
      if (kind === 'body') socket.write(post(['Content-Length: 1000'], '{"organization": "'));
      return { socket, kind };
    });
  };

  it(`${MANY} at once cost the others nothing, and little memory; whoever comes then takes the place of one that waits`, async () => {
    const before = held();
    const kinds = await crowd(MANY);
    try {
      const drip = (): void => {
        for (const { socket, kind } of kinds) if (kind !== 'nothing' && socket.writable) socket.write('a');
      };
      const alive = `GET /healthz HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`;
      for (let n = 0; n < 20; n += 1) {
        drip();
        // It ends with the connection, however long that takes a busy machine.
        expect(await said(alive, 60_000)).toMatch(/^HTTP\/1\.1 200 /);
        expect(await ready()).toBe(200);
      }
      expect(held() - before).toBeLessThan(300 * 1024 * 1024);
    } finally {
      for (const { socket } of kinds) socket.destroy();
    }
    expect(await runs()).toBe(0);
  });

  it('are let go when they took too long for their headers, or never sent a byte', async () => {
    const kinds = await crowd(30);
    const drip = setInterval(() => {
      for (const { socket, kind } of kinds) if (kind !== 'nothing' && socket.writable) socket.write('a');
    }, 1_000);
    try {
      // 15 s, looked at every 5 s.
      await Promise.all(kinds.flatMap(({ socket, kind }) => (kind === 'body' ? [] : [closed(socket)])));
      expect(await ready()).toBe(200);
    } finally {
      clearInterval(drip);
      for (const { socket } of kinds) socket.destroy();
    }
  });
});
