import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { type Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { call, MAIN, newClient, oldClient, type Answer, type Era, type Question } from './mcp.ts';

export interface ServeOptions {
  home: string;
  env?: Record<string, string>;
  args?: readonly string[];
  /** False: it executes nothing itself. Of `serve` only. */
  withRunner?: boolean;
  /** Any free one, unless it has to be known before. Of `serve` only. */
  port?: number;
}

export interface TeamServer {
  url: URL;
  /** The same host and port, for addresses that are not MCP. */
  at(path: string): URL;
  pid: number;
  /** SIGTERM, and the exit code. */
  end(): Promise<number | null>;
  kill(): Promise<void>;
}

/** A real `polycrate-mcp serve` on a free port of loopback; resolves once it says where it listens. */
export async function serve({
  home,
  env,
  args = [],
  withRunner = true,
  port = 0,
}: ServeOptions): Promise<TeamServer> {
  const own = withRunner ? ['--with-runner', ...args] : args;
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', `${port}`, ...own], {
    cwd: tmpdir(),
    env: settings(home, env),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const url = await listening(child);
  return { url, at: (path) => new URL(path, url), ...processOf(child) };
}

export interface Runner {
  pid: number;
  /** SIGTERM, and the exit code. */
  end(): Promise<number | null>;
  kill(): Promise<void>;
}

export interface RunnerOptions extends ServeOptions {
  server: TeamServer;
  /** Of the role machine. */
  token: string;
  name: string;
}

/** A real `polycrate-mcp runner`; resolves once its server knows it. */
export async function startRunner({ home, env, args = [], server, token, name }: RunnerOptions): Promise<Runner> {
  const child = spawn(process.execPath, [MAIN, 'runner', '--server', server.url.origin, '--runner-name', name, ...args], {
    cwd: tmpdir(),
    env: settings(home, { ...env, POLYCRATE_MCP_RUNNER_KEY: token }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await said(child, /runner (\S+) works for/);
  return processOf(child);
} // prettier-ignore

function processOf(child: ChildProcess): Runner {
  const ended = once(child, 'exit') as Promise<[number | null]>;
  return {
    pid: child.pid!,
    async end() {
      child.kill('SIGTERM');
      return (await ended)[0];
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function listening(child: ChildProcess): Promise<URL> {
  return new URL(await said(child, /serving MCP at (\S+?),?( |$)/));
}

/** What is in the first brackets of the first line on stderr that fits. */
async function said(child: ChildProcess, wanted: RegExp): Promise<string> {
  const lines = createInterface({ input: child.stderr! });
  const all: string[] = [];
  for await (const line of lines) {
    all.push(line);
    const found = wanted.exec(line)?.[1];
    if (found === undefined) continue;
    // What it says later must not fill the pipe.
    lines.on('line', () => undefined);
    child.stderr!.resume();
    return found;
  }
  throw new Error(`it ended before it said what was waited for:\n${all.join('\n')}`);
}

function settings(home: string, env: Record<string, string> = {}): Record<string, string> {
  const passed = ['PATH', 'HOME', 'DOCKER_HOST'].flatMap((name) =>
    process.env[name] ? [[name, process.env[name]]] : [],
  );
  return { ...Object.fromEntries(passed), POLYCRATE_MCP_HOME: home, ...env } as Record<string, string>;
}

export interface KeyOptions extends ServeOptions {
  name: string;
}

/** A key made by the command; `args` are its further flags. */
export async function makeKey({ home, env, name, args = [] }: KeyOptions): Promise<{ id: string; token: string }> {
  const made = await command({ home, ...(env && { env }), args: ['keys', 'create', '--name', name, '--json', ...args] });
  return JSON.parse(made) as { id: string; token: string };
} // prettier-ignore

/** Runs a command of the program to its end and answers what it printed. */
export async function command({ home, env, args = [] }: ServeOptions): Promise<string> {
  const options = { env: settings(home, env), cwd: tmpdir() };
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], options);
  return stdout;
}

export interface Visit {
  url: URL;
  token?: string;
  era?: Era;
  onAsk?: (question: Question) => {
    action: 'accept' | 'decline' | 'cancel';
    content?: Record<string, unknown>;
  };
}

export interface Visitor {
  client: Client | OldClient;
  call(name: string, args?: Record<string, unknown>, options?: object): Promise<Answer>;
  close(): Promise<void>;
}

export async function visit({ url, token, era = 'modern', onAsk }: Visit): Promise<Visitor> {
  const requestInit = token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } };
  const options = { home: '', ...(onAsk && { onAsk }) };
  if (era === 'v1') {
    const client = oldClient(options);
    await client.connect(new OldTransport(url, { requestInit }));
    return visitor(client);
  }
  const client = newClient(options, era);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return visitor(client);
}

function visitor(client: Client | OldClient): Visitor {
  return {
    client,
    call: (name, args = {}, extra = {}) => call(client, { name, arguments: args }, extra),
    close: () => client.close(),
  };
}
