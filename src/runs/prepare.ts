import { join } from 'node:path/posix';
import { actionEnvironment, runFiles } from '../actions/environment.ts';
import { containerLayout, hostLayout, type Layout } from '../actions/layout.ts';
import type { Mount } from '../actions/launch-spec.ts';
import { buildPlan, type Plan } from '../actions/plan.ts';
import { decide, type Decision, type OperatorLimits } from '../actions/policy.ts';
import { AppError } from '../shared/errors.ts';
import { withoutNames } from '../shared/redact/redaction.ts';
import { findAction } from '../blocks/find.ts';
import { findBlock, findWorkspace } from '../workspaces/find.ts';
import { knownOf } from '../workspaces/known.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { Executor } from './executor.ts';
import type { RunFiles } from './run-files.ts';
import type { RunLedger } from './run-ledger.ts';
import type { LaunchPacket } from './supervision.ts';

/** What the operator configured for executions. */
export interface RunSettings {
  executor: 'docker' | 'local';
  /** POLYCRATE_MCP_IMAGE; null: the CLI's image in the version this release was tested with. */
  image: string | null;
  default_image: string;
  pull: LaunchPacket['pull'];
  memory_bytes: number | null;
  cpus: number | null;
  pids: number | null;
  timeout_ms: number | null;
  engine_log_bytes: number;
  extra_hosts: readonly string[];
  mount_docker_socket: boolean;
  limits: OperatorLimits;
  /** The only variables of our own environment that an action on this host gets (PATH, HOME …). */
  host_environment: Readonly<Record<string, string>>;
  version: string;
}

export interface PreparePorts {
  store: WorkspaceStore;
  executor: Executor;
  files: RunFiles;
  ledger: Pick<RunLedger, 'key'>;
  settings: RunSettings;
  /** Real path of a host path; null: nothing there. */
  realPath(path: string): Promise<string | null>;
}

export interface Target {
  workspace: string;
  block: string;
  action: string;
  timeout_seconds?: number | undefined;
}

export interface Prepared {
  plan: Plan;
  decision: Decision;
  /** Set where the engine could not be asked; then nothing can be launched. */
  engine: AppError | null;
}

const DOCKER_SOCKET = '/var/run/docker.sock';

/** Finds what was named and plans it from the files as they are now. Reads only. */
export async function prepare(ports: PreparePorts, target: Target): Promise<Prepared> {
  const workspace = findWorkspace(await ports.store.list(), target.workspace);
  const block = findBlock(workspace, target.block);
  const action = findAction(block, target.action);
  const reference = ports.settings.executor === 'docker' ? imageOf(workspace, ports.settings) : null;
  const [files, image, mounts, key] = await Promise.all([
    ports.store.inspect(workspace, block),
    reference === null ? NO_IMAGE : imageDigest(ports.executor, reference.reference),
    workspaceMounts(ports, workspace),
    ports.ledger.key(),
  ]);
  const layout = layoutOf(ports, workspace, 'RUN');
  const plan = buildPlan({
    workspace,
    block,
    action,
    files,
    executor: ports.settings.executor,
    image: reference && { ...reference, digest: image.digest },
    layout,
    env: environmentOf(ports, { workspace, block, action, files, layout }),
    mounts,
    extra_hosts: ports.settings.extra_hosts,
    timeout_ms: timeoutOf(ports.settings, target),
    key,
  });
  return { plan, decision: decide(plan, ports.settings.limits), engine: image.problem };
}

/** The image: the workspace's, else the operator's, else the CLI's own (design.md section 6). */
function imageOf(workspace: Workspace, settings: RunSettings): { reference: string; chosen_by: string } {
  if (workspace.config.image !== null)
    return { reference: workspace.config.image, chosen_by: 'workspace.poly config.image' };
  if (settings.image !== null) return { reference: settings.image, chosen_by: 'POLYCRATE_MCP_IMAGE' };
  return { reference: settings.default_image, chosen_by: 'default of this release' };
}

const NO_IMAGE: { digest: string | null; problem: AppError | null } = { digest: null, problem: null };

async function imageDigest(executor: Executor, reference: string): Promise<typeof NO_IMAGE> {
  try {
    return { digest: (await executor.image(reference))?.digest ?? null, problem: null };
  } catch (error) {
    if (error instanceof AppError) return { digest: null, problem: error };
    throw error;
  }
}

function timeoutOf(settings: RunSettings, { timeout_seconds }: Target): number | null {
  if (timeout_seconds === undefined) return settings.timeout_ms;
  const asked = timeout_seconds * 1000;
  // The operator's limit is an upper bound: a caller can only be stricter.
  return settings.timeout_ms === null ? asked : Math.min(asked, settings.timeout_ms);
}

function layoutOf(ports: PreparePorts, workspace: Workspace, run_id: string): Layout {
  return ports.settings.executor === 'docker'
    ? containerLayout(workspace.config.containerroot)
    : hostLayout(workspace.path, ports.files.folder(run_id));
}

type Located = Pick<Plan, 'workspace' | 'block' | 'action' | 'files' | 'layout'>;

function environmentOf({ settings }: PreparePorts, target: Located): Record<string, string> {
  const container = settings.executor === 'docker';
  return actionEnvironment(target, {
    container,
    image: container ? imageOf(target.workspace, settings).reference : null,
    version: settings.version,
  });
}

/** The workspace itself, the workspace's extra mounts by their real paths, the engine's socket if configured. */
async function workspaceMounts(ports: PreparePorts, workspace: Workspace): Promise<Mount[]> {
  if (ports.settings.executor !== 'docker') return [];
  const mounts: Mount[] = [
    { host: workspace.path, container: workspace.config.containerroot, readonly: false },
  ];
  for (const { host, container } of workspace.extramounts) {
    const asked = host.startsWith('/') ? host : join(workspace.path, host);
    mounts.push({ host: (await ports.realPath(asked)) ?? asked, container, readonly: false });
  }
  if (ports.settings.mount_docker_socket) {
    mounts.push({ host: DOCKER_SOCKET, container: DOCKER_SOCKET, readonly: false });
  }
  return mounts;
}

/** Everything that a supervisor needs to start the planned action as the run of that id. */
export function packetOf(
  ports: PreparePorts,
  plan: Plan,
  { run_id, redactions }: { run_id: string; redactions: readonly string[] },
): LaunchPacket {
  const { settings } = ports;
  const layout = layoutOf(ports, plan.workspace, run_id);
  const located = { ...plan, layout };
  const files = runFiles(located);
  const own = files.map(({ name }) => name);
  const mounted =
    plan.executor === 'docker' ? own.map((name) => runFileMount(ports, { run_id, name, layout })) : [];
  return {
    spec: {
      run_id,
      image: plan.image?.reference ?? null,
      image_digest: plan.image?.digest ?? null,
      command: plan.command.map((part) => part.replaceAll(plan.layout.run, layout.run)),
      workdir: plan.workdir,
      env: { ...(plan.executor === 'local' && settings.host_environment), ...environmentOf(ports, located) },
      mounts: [...plan.mounts, ...mounted],
      extra_hosts: plan.extra_hosts,
      labels: runLabels(plan),
      limits: {
        memory_bytes: settings.memory_bytes,
        cpus: settings.cpus,
        pids: settings.pids,
        engine_log_bytes: settings.engine_log_bytes,
      },
      timeout_ms: plan.timeout_ms,
    },
    files,
    redactions,
    pull: settings.pull,
  };
}

function runFileMount(
  { files }: PreparePorts,
  { run_id, name, layout }: { run_id: string; name: string; layout: Layout },
): Mount {
  return { host: join(files.folder(run_id), name), container: join(layout.run, name), readonly: true };
}

function runLabels({ workspace, block, action }: Plan): Record<string, string> {
  return {
    'polycrate-mcp.workspace': `${workspace.organization ?? '-'}/${workspace.name}`,
    'polycrate-mcp.block': block.name,
    'polycrate-mcp.action': action.name,
  };
}

/** The one entrance for what a run's output must not show: secrets of the definitions and of secret files. */
export async function redactionsOf(
  { store }: Pick<PreparePorts, 'store'>,
  { workspace, files }: Pick<Plan, 'workspace' | 'files'>,
): Promise<string[]> {
  const { secrets, names } = knownOf(workspace);
  return withoutNames({
    secrets: [...secrets, ...(await store.secretFiles(workspace))],
    names: [...names, ...(files.hosts ?? [])],
  });
}
