import { createSqliteLedger } from '../../src/adapters/sqlite/index.ts';
import type { Records } from '../../src/history/records.ts';
import { createIds } from '../../src/adapters/host/host.ts';
import type { ActionRun, RunStatus } from '../../src/runs/action-run.ts';
import type { IntentRequest } from '../../src/runs/run-ledger.ts';
import type { ProcessIdentity } from '../../src/shared/ports.ts';

export const LEDGER_WORKER = new URL('../../dist/ledger-worker.js', import.meta.url);

export function openSqlite(home: string): Records {
  return createSqliteLedger({ home, worker: LEDGER_WORKER });
}

/** The parts of a past run that a test decides; everything else has a plain default. */
export interface Past extends Partial<
  Pick<
    ActionRun,
    | 'id' | 'kind' | 'organization' | 'workspace' | 'block' | 'block_version' | 'app_version' | 'block_from'
    | 'action' | 'status_reason' | 'exit_code' | 'hostname' | 'os_user' | 'reason' | 'source' | 'pins'
    | 'workflow' | 'retrigger_of' | 'aliases' | 'plan_digest' | 'trigger' | 'workspace_commit'
  >
> {
  environment?: string | null;
  image_digest?: string;
  status?: RunStatus;
  launched?: boolean;
  requested_at: number;
  /** Milliseconds from request to start, and of the run itself. */
  delay_ms?: number;
  duration_ms?: number;
  display?: string;
  subject?: string;
  client?: string | null;
  allow_concurrent?: boolean;
  /** False: an open run that nobody supervises, as one that was mirrored from elsewhere. */
  supervised?: boolean;
} // prettier-ignore

/** A process of another machine: its leases are nobody's business here. */
export const ELSEWHERE: ProcessIdentity = {
  host: 'elsewhere',
  boot_id: 'boot',
  pid_ns: 'ns',
  pid: 1,
  pid_start: '1',
};

let clock = 0;
// Ids of generated runs do not depend on the time at which a test runs.
const ids = createIds({ now: () => Date.UTC(2026, 0, 1) + clock++, sleep: async () => undefined });

export function mintId(): string {
  return ids.next();
}

export function intentFor(past: Past): IntentRequest {
  const id = past.id ?? mintId();
  const at = past.requested_at;
  return {
    event: {
      kind: 'run_requested',
      run_id: id,
      at,
      facts: {
        id,
        aliases: (past.aliases ?? []).map((alias) => ({ ...alias })),
        kind: past.kind ?? 'action',
        organization: past.organization === undefined ? 'acme' : past.organization,
        workspace: past.workspace ?? 'shop',
        workspace_path: '/srv/shop',
        environment: past.environment ? { value: past.environment, origin: 'label' } : null,
        workspace_commit: past.workspace_commit ?? null,
        workspace_dirty: null,
        block: past.block === undefined ? 'db' : past.block,
        block_version: past.block_version ?? null,
        app_version: past.app_version ?? null,
        block_from: past.block_from ?? null,
        action: past.action === undefined ? 'restart' : past.action,
        workflow: past.workflow ?? null,
        step: null,
        parent: null,
        status: 'pending',
        status_reason: null,
        exit_code: null,
        requested_at: at,
        approved_at: null,
        launched: false,
        started_at: null,
        finished_at: null,
        duration_ms: null,
        cli_version: null,
        trigger: past.trigger ?? 'mcp',
        retrigger_of: past.retrigger_of ?? null,
        cancelled_by: null,
        cancel_reason: null,
        policy_digest: null,
        executor: {
          kind: 'docker',
          runner: null,
          image: 'image:1',
          image_digest: past.image_digest ?? null,
          container: null,
        },
        plan_digest: past.plan_digest ?? null,
        pins: past.pins ? { ...past.pins } : null,
        log: null,
        api: null,
        source: past.source ?? 'ledger',
        evidence: { authenticated: ['principal'], claimed: ['client', 'reason'] },
      },
      private: {
        hostname: past.hostname === undefined ? 'host-1' : past.hostname,
        os_user: past.os_user === undefined ? 'deploy' : past.os_user,
        principal:
          past.display === undefined
            ? null
            : {
                kind: 'os',
                issuer: null,
                subject: past.subject ?? `1:${past.display}`,
                display: past.display,
              },
        client: past.client === null ? null : { name: past.client ?? 'test-client', version: '1' },
        reason: past.reason ?? null,
        approval: null,
      },
    },
    lease: {
      run_id: id,
      owner: ELSEWHERE,
      executor: 'docker',
      phase: 'launching',
      ref: null,
      expires_at: Number.MAX_SAFE_INTEGER,
      timeout_ms: null,
    },
    idempotency: null,
    untold: null,
    exclusive: !(past.allow_concurrent ?? true),
    burn: null,
    calls: null,
  };
}

/** Stores a past run event by event, as its supervisor would have, and answers the record. */
export async function storeRun(
  { ledger, leases }: Pick<Records, 'ledger' | 'leases'>,
  past: Past,
): Promise<ActionRun> {
  const intent = intentFor(past);
  const stored = await ledger.request(intent);
  if (stored.outcome !== 'stored') throw new Error(`not stored: ${stored.outcome}`);
  const { status = 'success', launched = status !== 'pending' } = past;
  const guard = { run_id: stored.run.id, fence: stored.fence };
  const started_at = launched ? past.requested_at + (past.delay_ms ?? 0) : null;
  let run = stored.run;
  if (started_at !== null) {
    const facts = { status: 'running', launched: true, started_at };
    run = await ledger.append({ kind: 'run_started', run_id: run.id, at: started_at, facts, private: {} });
  }
  if (past.supervised === false) await leases.give(guard, 'delete');
  if (status === 'pending' || status === 'running') return run;
  const duration = past.duration_ms ?? 1_000;
  const finished_at = (started_at ?? past.requested_at) + duration;
  const facts = {
    status,
    status_reason: past.status_reason ?? null,
    exit_code: past.exit_code === undefined ? (status === 'success' ? 0 : null) : past.exit_code,
    launched,
    started_at,
    finished_at,
    duration_ms: started_at === null ? null : duration,
  };
  run = await ledger.append({ kind: 'run_finished', run_id: run.id, at: finished_at, facts, private: {} });
  await leases.give(guard, 'delete');
  return run;
}

/** Fills the ledger of `home` with runs, in order; answers the records. */
export async function fillLedger(home: string, runs: readonly Past[]): Promise<ActionRun[]> {
  const sqlite = openSqlite(home);
  try {
    const stored: ActionRun[] = [];
    for (const past of runs) stored.push(await storeRun(sqlite, past));
    return stored;
  } finally {
    await sqlite.close();
  }
}
