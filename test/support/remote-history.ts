import { spawn } from 'node:child_process';
import { API_KEY, startContractServer, TLS_FOR_ALL, type ContractServer } from '../contract-server/start.ts';
import { ledgerEnvironment } from './ledger-command.ts';
import { connect, MAIN, tempFolder, type ConnectOptions, type Connection } from './mcp.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace, type Scripts } from './script-workspace.ts';

export interface RemoteHistory {
  server: ContractServer;
  workspace: ScriptWorkspace;
  home: string;
  /** A client of a server of its own that knows the API; closed with the rest. */
  serve(more?: Record<string, string>, options?: Partial<ConnectOptions>): Promise<Connection>;
  operate(
    args: string[],
    more?: Record<string, string>,
  ): Promise<{ status: number | null; stdout: string; stderr: string }>;
  /** Fails where the contract was not kept. */
  end(): Promise<void>;
}

export interface HistoryOptions {
  tls?: boolean;
  scripts?: Scripts;
  settings?: Record<string, string>;
}

/** A workspace, and an API that knows it and one more which is not on this host. */
export async function remoteHistory({ tls = TLS_FOR_ALL, scripts = { db: { restart: 'echo restarted' } }, settings = {} }: HistoryOptions = {}): Promise<RemoteHistory> {
  const [folder, workspace, server] = await Promise.all([tempFolder('mirror'), scriptWorkspace(scripts), startContractServer({ tls })]);
  await server.seed('tests', { scripts: Object.keys(scripts), elsewhere: ['web'] });
  const open: Connection[] = [];
  const env = (more: Record<string, string>): Record<string, string> => ({
    ...trusted(workspace, 'local'),
    HOME: folder.path,
    POLYCRATE_API_ENABLED: 'true',
    POLYCRATE_API_URL: server.url,
    POLYCRATE_API_API_KEY: API_KEY,
    POLYCRATE_MCP_MIRROR_MAX_AGE: '1s',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
    ...(server.caFile && { POLYCRATE_MCP_CA_FILE: server.caFile }),
    ...settings,
    ...more,
  });
  return {
    server,
    workspace,
    home: folder.path,
    async serve(more = {}, options = {}) {
      const connection = await connect({ home: folder.path, env: env(more), ...options });
      open.push(connection);
      return connection;
    },
    operate(args, more = {}) {
      const child = spawn(process.execPath, [MAIN, ...args], { env: ledgerEnvironment(folder.path, env(more)) });
      const [out, err]: [string[], string[]] = [[], []];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk.toString()));
      return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout: out.join(''), stderr: err.join('') })));
    },
    async end() {
      await Promise.all(open.map((one) => one.close().catch(() => undefined)));
      const violations = await server.violations().catch(() => []);
      await server.stop();
      await Promise.all([workspace.remove(), folder.remove()]);
      if (violations.length > 0) throw new Error(`the contract was not kept: ${violations.join('; ')}`);
    },
  };
} // prettier-ignore

let made = 0;

/** A run as the contract server stores it; newest last. */
export function remoteRun(more: Record<string, unknown> = {}): Record<string, unknown> {
  const at = new Date(Date.now() - 3_600_000 + made++ * 10).toISOString();
  return {
    organization: 'tests',
    workspace: 'elsewhere',
    block: 'web',
    action: 'deploy',
    status: 'success',
    exit_code: 0,
    started_at: at,
    finished_at: at,
    created_at: at,
    username: 'robin',
    block_version: '2.1.0',
    ...more,
  };
}
