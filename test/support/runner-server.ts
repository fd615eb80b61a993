import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Identity } from '../../src/access/identity.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { createLogFiles } from '../../src/adapters/log-files/index.ts';
import { createLogPieces } from '../../src/adapters/log-files/pieces.ts';
import { createRunnerLedger, type RunnerLedger } from '../../src/adapters/runner-ledger/index.ts';
import type { Records } from '../../src/history/records.ts';
import {
  createRunnerAuthority,
  NO_CALLS,
  type CallAuthority,
  type RunnerAuthority,
} from '../../src/runners/authority.ts';
import { createRunnerService } from '../../src/runners/service.ts';
import { createRunnerApi } from '../../src/server/runner-api/runner-api.ts';
import type { RunLogs } from '../../src/runs/run-log.ts';
import { openSqlite } from './fill-ledger.ts';

/** Whatever a runner wants to record, as far as the transport goes. */
export const ANYTHING: RunnerAuthority = {
  intent: async (_machine, intent) => intent,
  event: async (_machine, event) => event,
};

export interface RunnerServer {
  url: string;
  records: Records;
  /** Where the logs of runners are. */
  logs: RunLogs;
  /** Takes requests away from the server; true: it has dealt with it. */
  fault: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
  close(): Promise<void>;
}

export interface RunnerServerOptions {
  home: string;
  /** Instead of the rules of a server. */
  authority?: RunnerAuthority;
  /** What the server handed over; default: nothing. */
  calls?: CallAuthority;
  port?: number;
  /** By bearer token; default: every one is a machine that reaches everything. */
  identities?: Record<string, Identity>;
  maxBytes?: number;
}

export const MACHINE_IDENTITY: Identity = {
  principal: { kind: 'key', issuer: 'l', subject: 'machine', display: 'machine' },
  roles: ['machine'],
  scope: null,
};

/** The part of `serve` that runners speak to, over a ledger in `home`. */
export async function startRunnerServer(options: RunnerServerOptions): Promise<RunnerServer> {
  const { home, port = 0, identities, maxBytes = 1 << 26 } = options;
  const records = openSqlite(home);
  const { ledger, leases, untold, watch, exchange } = records;
  const service = createRunnerService({
    ...{ ledger, leases, untold, watch, exchange, requesters: { refusal: () => Promise.resolve(null) } },
    closed: null,
    rules: async () => ({ mode: 'trusted', policy: null, zone: 'UTC' }),
    pieces: createLogPieces({ home, maxBytes }),
    authority:
      options.authority ?? createRunnerAuthority({ ledger, leases, calls: options.calls ?? NO_CALLS }),
    clock: systemClock,
  });
  const api = createRunnerApi({ service, log: () => undefined });
  const server = createServer((request, response) => {
    if (running.fault?.(request, response)) return;
    const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const identity = identities ? identities[token] : MACHINE_IDENTITY;
    if (!identity) return void response.writeHead(401, { 'Content-Type': 'application/json' }).end('{}');
    void api.handle(request, response, identity);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const running: RunnerServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    records,
    logs: createLogFiles({ home, maxBytes }),
    fault: null,
    async close() {
      api.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await records.close();
    },
  };
  return running;
}

export interface RunnerOptions {
  url: string;
  home: string;
  key?: () => string;
  place?: string;
  patience_ms?: number;
  maxBytes?: number;
  fetch?: NonNullable<Parameters<typeof createRunnerLedger>[0]['fetch']>;
}

/** A runner's view of that server; its own logs are in `home`. */
export function connectRunner({ home, maxBytes = 1 << 26, ...options }: RunnerOptions): RunnerLedger {
  return createRunnerLedger({
    key: () => 'key',
    place: 'a-place-of-a-runner',
    ...options,
    clock: systemClock,
    local: { logs: createLogFiles({ home, maxBytes }), pieces: createLogPieces({ home, maxBytes }) },
    log: () => undefined,
  });
}
