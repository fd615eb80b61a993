import { readFile } from 'node:fs/promises';
import { createSqliteLedger } from '../../src/adapters/sqlite/index.ts';
import { createPolycrateApi } from '../../src/adapters/polycrate-api/index.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { createProcessTable } from '../../src/adapters/host/process-table.ts';
import type { Records } from '../../src/history/records.ts';
import type { ApiEndpoint } from '../../src/platform/endpoints.ts';
import { createSubmitter, type Submitter } from '../../src/platform/submit.ts';
import type { RunEvent } from '../../src/runs/action-run.ts';
import { API_KEY, type ContractServer, type Fault } from '../contract-server/start.ts';
import { intentFor, LEDGER_WORKER } from '../support/fill-ledger.ts';

export const BLOCKS = 40;
export const BLOCK_NAMES = Array.from({ length: BLOCKS }, (_, n) => `block-${n}`);

/** Longer than anything stays on its way in these tests. */
const SETTLE_MS = 400;

export interface Office {
  records: Records;
  submitter: Submitter;
  /** Ends it in the middle of things, as a kill would, and forgets all that it knew. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A ledger and what reports its runs to the contract server. */
export function openOffice(home: string, server: ContractServer, endpoint: Partial<ApiEndpoint> = {}): Office {
  const given: ApiEndpoint = {
    name: 'default', url: server.url, key: API_KEY, submit: true, workspaces: null, on_remote_conflict: 'warn', ...endpoint,
  }; // prettier-ignore
  const start = () => {
    const records = createSqliteLedger({ home, worker: LEDGER_WORKER });
    const api = createPolycrateApi({
      ...given, userAgent: 'test', proxies: { http: null, https: null, none: null },
      ca: async () => (server.caFile === null ? null : await readFile(server.caFile, 'utf8')),
      clock: systemClock, random: Math.random,
    }); // prettier-ignore
    const submitter = createSubmitter({
      ...records,
      logs: { read: async () => null },
      apis: { setup: async () => ({ endpoints: [given], problems: [], warnings: [], read: [] }), open: async () => api },
      checkpoint: async () => null,
      processes: createProcessTable(home),
      clock: systemClock,
      log: () => undefined,
      random: Math.random,
      settle_ms: SETTLE_MS,
    });
    return { records, api, submitter };
  };
  let now = start();
  const end = async (): Promise<void> => {
    // Requests break off in the middle; what they did at the API is not known here.
    await now.api.close();
    await now.submitter.stop();
    await now.records.close();
  };
  return {
    get records() {
      return now.records;
    },
    get submitter() {
      return now.submitter;
    },
    async restart() {
      await end();
      now = start();
    },
    close: end,
  };
} // prettier-ignore

export interface Told {
  id: string;
  exit_code: number;
  started_at: number;
}

/** A run that is requested, and starts and ends when it is told to. */
export async function requestRun({ records }: Office, n: number, at: number): Promise<Told> {
  const intent = { ...intentFor({ requested_at: at, block: BLOCK_NAMES[n % BLOCKS]!, display: 'ada' }), submission: { endpoint: 'default' } };
  await records.ledger.request(intent);
  return { id: intent.event.run_id, exit_code: n % 3, started_at: at + 1 };
} // prettier-ignore

function event({ id }: Told, kind: RunEvent['kind'], facts: RunEvent['facts']): RunEvent {
  return { kind, run_id: id, at: Date.now(), facts, private: {} };
}

export async function startRun({ records }: Office, run: Told): Promise<void> {
  const { started_at } = run;
  await records.ledger.append(event(run, 'run_started', { status: 'running', launched: true, started_at }));
}

export async function endRun({ records }: Office, run: Told): Promise<void> {
  const { exit_code, started_at } = run;
  const facts = { status: exit_code === 0 ? 'success' : 'failed', exit_code, launched: true, started_at, finished_at: started_at + 5, duration_ms: 5 };
  await records.ledger.append(event(run, 'run_finished', facts));
} // prettier-ignore

/** What a network does to requests and answers. A report at once is never doubled by it: nothing there could tell. */
export function badNetwork(rate: number): Fault[] {
  const start = { path: '/cli/action-runs/(start|[^/]+/finish)/$' };
  return [
    { kind: 'reset', probability: rate },
    { kind: 'lost_reply', probability: rate },
    { kind: 'reset_mid', probability: rate },
    { kind: 'truncate', probability: rate },
    { kind: 'twice', probability: rate, match: start },
    { kind: 'delay', ms: 60, probability: rate },
    { kind: 'status', status: 502, html: true, probability: rate / 2 },
    {
      kind: 'status',
      status: 429,
      code: 'throttled',
      headers: { 'retry-after': '0' },
      probability: rate / 2,
    },
  ];
}

/** What differs from one record with the right result for each run; nothing, if all is well. */
export async function differences(server: ContractServer, office: Office, told: readonly Told[]): Promise<string[]> {
  const remote = await server.runs();
  const byRun = new Map<string, any[]>();
  for (const row of remote) {
    const id = JSON.parse(row.block_labels ?? '{}').polycrate_mcp_run ?? JSON.parse(row.metadata ?? '{}').polycrate_mcp?.run_id;
    byRun.set(id, [...(byRun.get(id) ?? []), row]);
  }
  const wrong: string[] = [];
  for (const run of told) {
    const rows = byRun.get(run.id) ?? [];
    if (rows.length !== 1) wrong.push(`${run.id} has ${rows.length} records (${rows.map(({ status }) => status).join()})`);
    else if (rows[0].exit_code !== run.exit_code || rows[0].started_at !== new Date(run.started_at).toISOString())
      wrong.push(`${run.id} has ${rows[0].status} with ${rows[0].exit_code} instead of ${run.exit_code}`);
    const stored = (await office.records.ledger.find(run.id))!;
    if (stored.api?.submission !== 'delivered' || stored.api.action_run_id !== rows[0]?.id) wrong.push(`${run.id} is ${stored.api?.submission} here`);
  }
  if (remote.length !== told.length) wrong.push(`${remote.length} records for ${told.length} runs`);
  return wrong;
} // prettier-ignore

/** Until everything is delivered; what is not by then is a failure. */
export async function delivered(office: Office, within_ms: number): Promise<void> {
  const until = Date.now() + within_ms;
  for (;;) {
    const { waiting, dead } = await office.records.outbox.standing();
    if (waiting + dead === 0) return;
    if (Date.now() > until) {
      const rows = (await office.records.outbox.list(5)).map((row) => JSON.stringify(row));
      throw new Error(`${waiting} waiting, ${dead} given up: ${rows.join('\n')}`);
    }
    await systemClock.sleep(50);
  }
}
