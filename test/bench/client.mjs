// JSON-RPC over the stdio of a child process, with no client library in between.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'bench', version: '1' },
};

export const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Starts a server; nothing is sent yet. */
export function start(args, env = {}) {
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  const waiting = new Map();
  let last = 0;
  let chunks = [];
  child.stdout.on('data', (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      chunks.push(chunk.subarray(from, end));
      from = end + 1;
      settle(JSON.parse(Buffer.concat(chunks).toString()));
      chunks = [];
    }
    if (from < chunk.length) chunks.push(chunk.subarray(from));
  });
  const settle = (message) => {
    const done = waiting.get(message.id);
    waiting.delete(message.id);
    done?.(message);
  };
  const request = (method, params) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, (message) =>
        message.error
          ? reject(new Error(`${method}: ${JSON.stringify(message.error)}`))
          : resolve(message.result),
      );
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  return {
    pid: child.pid,
    request,
    initialize: async () => {
      await request('initialize', INITIALIZE);
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
    },
    call: async (name, args = {}) => {
      const result = await request('tools/call', { name, arguments: args });
      if (result.isError) throw new Error(`${name}: ${result.content?.[0]?.text}`);
      return result.structuredContent;
    },
    initializeParams: INITIALIZE,
    end: async () => {
      const closed = once(child, 'close');
      child.stdin.end();
      await closed;
    },
    kill: async () => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}
