import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { App } from '../compose.ts';
import { isLoopback } from '../config.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { createApprovalPage } from '../server/http/approval-page.ts';
import { SIGN_IN_PATH } from '../server/http/approval-sign-in.ts';
import { LOOPBACK } from '../server/http/guard.ts';
import { MCP_PATH, serveOverHttp, type HttpOptions, type HttpServer } from '../server/http/listen.ts';
import { createMetrics } from '../server/http/metrics.ts';
import type { ServerParts } from '../server/mcp-server.ts';
import { createHousekeeping } from './housekeeping.ts';

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 3460;
/** Open requests have so long to be answered once the server is to end. */
const GRACE_MS = 10_000;

/** The server of a team: serves over HTTP until SIGTERM, then passes open runs to a process that stays. */
export async function serve(app: App, options: Readonly<Record<string, string>>): Promise<void> {
  const http = httpOptions(app, options);
  const stateKey = stateKeyOf(app.config.stateKeyFile);
  const housekeeping = createHousekeeping(app);
  // Unlike a client's own server this one is started to stay.
  housekeeping.begin();
  const metrics = createMetrics({
    sessions: () => server.sessions(),
    supervised: () => app.supervisor.open(),
    version: app.services.version,
  });
  const desk: ServerParts['desk'] = (identity) => app.answers.reachable(identity);
  const parts = { ...app.server, ...(stateKey && { stateKey }), desk, observe: metrics.observe, onFirstCall: () => undefined };
  const server: HttpServer = await serveOverHttp(parts, { ...http, metrics: () => metrics.text() }).catch(async (error: unknown) => {
    await housekeeping.end();
    throw new AppError('configuration', `cannot listen at ${http.host}:${http.port}: ${messageOf(error)}`, {
      next: 'name another place with --host and --port',
    });
  });
  void app.prepare();
  app.answers.page.url ??= server.url;
  process.stderr.write(`polycrate-mcp: serving MCP at ${server.url}${http.authenticator ? '' : ', open to everybody who reaches it'}${app.supervision.executes ? '' : ', for runners to execute'}\n`);
  // A second signal must not end the process while it passes open runs on.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await server.close(GRACE_MS);
  await housekeeping.end();
} // prettier-ignore

function httpOptions(app: App, options: Readonly<Record<string, string>>): Omit<HttpOptions, 'metrics'> {
  const { config } = app;
  const host = options['host'] ?? DEFAULT_HOST;
  const open = options['no-auth'] === 'true';
  if (open && !isLoopback(host)) {
    throw new AppError('configuration', `--no-auth is refused at ${host}, which other machines may reach`, {
      next: 'leave out --host, or make keys with: polycrate-mcp keys create',
    });
  }
  const authenticator = open ? null : app.authenticatorFor(MCP_PATH);
  const own = [...LOOPBACK, bracketed(host), ...(config.publicUrl ? [new URL(config.publicUrl).hostname] : [])];
  return {
    host,
    port: portOf(options['port']),
    publicUrl: config.publicUrl,
    allowed: { hosts: [...own, ...config.allowedHosts], origins: [...own, ...config.allowedOrigins] },
    authenticator,
    issuer: config.oidcIssuer,
    requestsPerMinute: config.rateLimit,
    page: createApprovalPage({
      desk: app.answers.desk,
      holders: app.holders,
      authenticator: authenticator ?? app.holders,
      issuer: open ? null : config.oidcIssuer,
      signIn: open ? null : app.signInFor({ path: MCP_PATH, returnPath: SIGN_IN_PATH }),
      key: () => app.services.ledger.key(),
      clock: app.services.clock,
      secure: config.publicUrl?.startsWith('https:') ?? false,
    }),
    clock: app.services.clock,
    ingest: app.ingest,
    runners: app.runners,
    ready: async () => {
      const { problem } = await app.services.standing();
      if (problem !== null) throw new Error(problem);
    },
  };
} // prettier-ignore

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new AppError('configuration', `--port=${text} is not a port`, {
    next: 'give a number from 0 to 65535',
  });
}

/** Null: an answer of a human counts only at the server that asked. */
function stateKeyOf(file: string | null): Uint8Array | null {
  if (file === null) return null;
  const MINIMUM = 32;
  let key: Buffer;
  try {
    key = readFileSync(file);
  } catch (error) {
    throw new AppError('configuration', `POLYCRATE_MCP_STATE_KEY_FILE cannot be read: ${messageOf(error)}`);
  }
  if (key.length >= MINIMUM) return key;
  throw new AppError('configuration', `POLYCRATE_MCP_STATE_KEY_FILE has ${key.length} bytes, it needs ${MINIMUM}`, {
    next: `head -c 32 /dev/urandom > ${file}`,
  });
} // prettier-ignore
