import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

export const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

/** modern: 2026-07-28. legacy: the same client held to the 2025 handshake. v1: yesterday's client package. */
export type Era = 'modern' | 'legacy' | 'v1';
export const ERAS: readonly Era[] = ['modern', 'legacy', 'v1'];

export interface Question {
  message: string;
}

export interface ConnectOptions {
  home: string;
  env?: Record<string, string>;
  args?: string[];
  cwd?: string;
  era?: Era;
  /** Starts the server as the leader of a process group, so that the whole group can be ended. */
  ownGroup?: boolean;
  /** Answers the server's questions to the human; without it the client cannot be asked. */
  onAsk?: (question: Question) => {
    action: 'accept' | 'decline' | 'cancel';
    content?: Record<string, unknown>;
  };
}

/** A tool's answer: the structured part, or the error that the model would read. */
export interface Answer {
  isError: boolean;
  // Answers are checked against each tool's output schema by the client library.
  data: any;
  error: { code: string; message: string; valid?: string[]; next?: string; details?: any } | null;
  characters: number;
}

export interface Connection {
  client: Client | OldClient;
  call(
    name: string,
    args?: Record<string, unknown>,
    options?: {
      timeout?: number;
      signal?: AbortSignal;
      onprogress?: (progress: { message?: string; progress: number }) => void;
    },
  ): Promise<Answer>;
  pid: number;
  /** Closes stdin as a client does when it ends, and waits for the process. */
  close(): Promise<void>;
}

type Transport = StdioClientTransport | OldTransport;

export async function connect(options: ConnectOptions): Promise<Connection> {
  const era = options.era ?? 'modern';
  const server = {
    // `setsid` becomes the program itself, so that the process id stays the server's.
    command: options.ownGroup ? 'setsid' : process.execPath,
    args: [...(options.ownGroup ? [process.execPath] : []), MAIN, ...(options.args ?? [])],
    env: environment(options),
    cwd: options.cwd ?? tmpdir(),
    stderr: 'inherit' as const,
  };
  const transport: Transport = era === 'v1' ? new OldTransport(server) : new StdioClientTransport(server);
  const client = era === 'v1' ? oldClient(options) : newClient(options, era);
  await client.connect(transport);
  return {
    client,
    pid: transport.pid!,
    call: (name, args = {}, extra = {}) => call(client, { name, arguments: args }, extra),
    close: () => client.close(),
  };
}

function environment({ home, env }: ConnectOptions): Record<string, string> {
  const passed = ['PATH', 'HOME', 'DOCKER_HOST'].flatMap((name) =>
    process.env[name] ? [[name, process.env[name]]] : [],
  );
  return { ...Object.fromEntries(passed), POLYCRATE_MCP_HOME: home, ...env } as Record<string, string>;
}

export function newClient({ onAsk }: ConnectOptions, era: Era): Client {
  const client = new Client(
    { name: 'test-client', version: '1.2.3' },
    {
      capabilities: onAsk ? { elicitation: {} } : {},
      versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' },
    },
  );
  if (onAsk)
    client.setRequestHandler('elicitation/create', (request) => onAsk(request.params as Question) as never);
  return client;
}

export function oldClient({ onAsk }: ConnectOptions): OldClient {
  const client = new OldClient(
    { name: 'test-client', version: '1.2.3' },
    { capabilities: onAsk ? { elicitation: {} } : {} },
  );
  if (onAsk)
    client.setRequestHandler(ElicitRequestSchema, (request) => onAsk(request.params as Question) as never);
  return client;
}

export async function call(
  client: Client | OldClient,
  params: { name: string; arguments: Record<string, unknown> },
  extra: object,
): Promise<Answer> {
  const result: any =
    client instanceof OldClient
      ? await client.callTool(params, undefined, extra)
      : await client.callTool(params, extra);
  const text = result.content?.[0]?.text ?? 'null';
  return {
    isError: result.isError === true,
    data: result.structuredContent,
    error: result.isError === true ? JSON.parse(text).error : null,
    characters: text.length,
  };
}

/** A folder that is gone after the test. */
export async function tempFolder(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await realpath(await mkdtemp(join(tmpdir(), `polycrate-mcp-${name}-`)));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
