import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { MAIN } from './mcp.ts';

export interface RawOptions {
  home: string;
  env?: Record<string, string>;
  /** Capabilities the client claims with each modern request. */
  capabilities?: Record<string, unknown>;
  spawn?: SpawnOptions;
}

export interface Message {
  jsonrpc?: string;
  id?: number | string | null;
  method?: string;
  params?: any;
  result?: any;
  error?: { code: number; message: string; data?: any };
}

/** The server process with nothing in between: JSON-RPC lines as they are. */
export interface Raw {
  process: ChildProcess;
  /** Every line of stdout so far. */
  lines: string[];
  stderr(): string;
  send(line: string | Message): void;
  /** A request of the 2026-07-28 era; resolves with its answer. */
  request(method: string, params?: Record<string, unknown>): Promise<Message>;
  call(name: string, args?: Record<string, unknown>, extra?: Record<string, unknown>): Promise<Message>;
  /** Resolves with the message of that id, also if it came already. */
  answer(id: number): Promise<Message>;
  nextId(): number;
  /** Closes stdin and waits for the end. */
  end(): Promise<{ code: number | null; ms: number }>;
}

export const META_VERSION = 'io.modelcontextprotocol/protocolVersion';

export function modernMeta(capabilities: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    [META_VERSION]: '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'raw-client', version: '0.0.1' },
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
}

export function startRaw({ home, env, capabilities, spawn: more }: RawOptions): Raw {
  const server = spawn(process.execPath, [MAIN], {
    cwd: tmpdir(),
    ...more,
    stdio: 'pipe',
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], POLYCRATE_MCP_HOME: home, ...env },
  });
  const lines: string[] = [];
  const seen = new Map<number, Message>();
  const waiting = new Map<number, (message: Message) => void>();
  let errors = '';
  let last = 0;
  server.stderr.on('data', (chunk) => (errors += String(chunk)));
  createInterface({ input: server.stdout }).on('line', (line) => {
    lines.push(line);
    const message = parsed(line);
    if (typeof message?.id !== 'number' || message.method !== undefined) return;
    seen.set(message.id, message);
    waiting.get(message.id)?.(message);
  });
  const exited = once(server, 'exit') as Promise<[number | null]>;

  const raw: Raw = {
    process: server,
    lines,
    stderr: () => errors,
    nextId: () => ++last,
    send: (line) =>
      void server.stdin.write(
        `${typeof line === 'string' ? line : JSON.stringify({ jsonrpc: '2.0', ...line })}\n`,
      ),
    answer(id) {
      const ended = exited.then(() => {
        throw new Error(`the server ended before it answered ${id}: ${errors}`);
      });
      const came = new Promise<Message>((resolve) => {
        const message = seen.get(id);
        if (message) resolve(message);
        else waiting.set(id, resolve);
      });
      return Promise.race([came, ended]);
    },
    request(method, params = {}) {
      const id = raw.nextId();
      raw.send({ id, method, params: { _meta: modernMeta(capabilities), ...params } });
      return raw.answer(id);
    },
    call: (name, args = {}, extra = {}) => raw.request('tools/call', { name, arguments: args, ...extra }),
    async end() {
      const began = performance.now();
      server.stdin.end();
      const [code] = await exited;
      return { code, ms: performance.now() - began };
    },
  };
  return raw;
}

function parsed(line: string): Message | null {
  try {
    return JSON.parse(line) as Message;
  } catch {
    return null;
  }
}

/** The error in a tool's answer, as the model reads it. */
export function toolError(message: Message): { code: string; message: string; next?: string } | null {
  if (message.result?.isError !== true) return null;
  return JSON.parse(message.result.content[0].text).error;
}
