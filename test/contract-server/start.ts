import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Agent, fetch } from 'undici';
import { tempFolder } from '../support/mcp.ts';

const MAIN = new URL('./main.mjs', import.meta.url).pathname;

export const API_KEY = 'test-key-4711';
export const READ_KEY = 'read-key-4711';

/** A rule of faults.mjs. */
export interface Fault extends Record<string, unknown> {
  kind: string;
  match?: { method?: string; path?: string; query?: string };
  times?: number;
  probability?: number;
}

export interface SeededBlock {
  name: string;
  version?: string;
  managed_by?: string;
}

export interface ContractServer {
  readonly url: string;
  /** Of the authority that signed its certificate, with TLS. */
  readonly caFile: string | null;
  /** Blocks by name; the CLI manages them unless it is said otherwise. */
  seed(organization: string, workspaces: Record<string, (string | SeededBlock)[]>): Promise<void>;
  faults(rules: Fault[], seed?: number): Promise<void>;
  settings(changes: Record<string, unknown>): Promise<void>;
  addRuns(add: Record<string, unknown>[]): Promise<void>;
  /** Every run that the API has, as it is stored. */
  runs(): Promise<any[]>;
  /** An activity about a run. */
  note(kind: string, id: string, username: string): Promise<void>;
  /** The queue of block actions. */
  items(): Promise<any[]>;
  change(id: string, values: Record<string, unknown>): Promise<void>;
  remove(id: string): Promise<void>;
  archive(id: string, archived: boolean): Promise<void>;
  /** What was asked for since the last look. */
  requests(): Promise<{ method: string; path: string; query: string; port: number }[]>;
  /** Requests and answers that the document does not allow. */
  violations(): Promise<string[]>;
  /** SIGKILL; the port and what it knows stay. */
  crash(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** How tests reach the contract server that do not say: POLYCRATE_MCP_TEST_TLS=1 takes all of them over TLS. */
export const TLS_FOR_ALL = process.env['POLYCRATE_MCP_TEST_TLS'] === '1';

/** The contract server as a process of its own. */
export async function startContractServer({ tls = TLS_FOR_ALL } = {}): Promise<ContractServer> {
  const folder = await tempFolder('api');
  const certificate = tls ? makeCertificate(folder.path) : null;
  let child: ChildProcess;
  let port = 0;
  const start = async (): Promise<void> => {
    const flags = certificate ? ['--tls-key', certificate.key, '--tls-cert', certificate.cert] : [];
    child = spawn(process.execPath, [MAIN, '--db', join(folder.path, 'api.db'), '--port', `${port}`, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    port = Number(line);
  };
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  await start();
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  const control = async (order: string, body: unknown = {}): Promise<any> => {
    const answer = await fetch(`${url}/__control/${order}`, { method: 'POST', body: JSON.stringify(body), dispatcher: agent });
    return await answer.json();
  };
  return {
    url,
    caFile: certificate?.cert ?? null,
    seed: (organization, workspaces) =>
      control('seed', {
        organizations: [
          {
            name: organization,
            workspaces: Object.entries(workspaces).map(([name, blocks]) => ({ name, blocks: blocks.map((block) => (typeof block === 'string' ? { name: block } : block)) })),
          },
        ],
      }),
    faults: (rules, seed) => control('faults', { rules, seed }),
    settings: (changes) => control('settings', changes),
    addRuns: (add) => control('runs', { add }),
    runs: () => control('runs'),
    items: () => control('items'),
    note: (kind, id, username) => control('note', { kind, id, username }),
    change: (id, values) => control('change', { id, values }),
    remove: (id) => control('remove', { id }),
    archive: (id, archived) => control('change', { id, values: { archived: archived ? 1 : 0 } }),
    requests: () => control('requests'),
    violations: () => control('violations'),
    crash: end,
    start,
    async stop() {
      await agent.close();
      await end();
      await folder.remove();
    },
  };
} // prettier-ignore

export function makeCertificate(folder: string): { key: string; cert: string } {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = spawnSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=contract server',
    '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key, '-out', cert,
  ]); // prettier-ignore
  if (made.status !== 0) throw new Error(`openssl failed: ${String(made.stderr)}`);
  return { key, cert };
}
