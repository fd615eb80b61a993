import { join } from 'node:path/posix';
import { actionEnvironment, runFiles, snapshotOf } from '../actions/environment.ts';
import { containerLayout, hostLayout, workdirOf, type Layout } from '../actions/layout.ts';
import type { Mount } from '../actions/launch-spec.ts';
import { CLI_ENVIRONMENT, type InstalledCli } from '../actions/cli-command.ts';
import { buildPlan, type Plan, type PlanExecutor } from '../actions/plan.ts';
import { reachOf } from '../actions/reach.ts';
import { decide, type Circumstances, type Decision, type OperatorLimits } from '../actions/policy.ts';
import type { Asker } from '../actions/policy-rules.ts';
import { AppError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { withoutNames } from '../shared/redact/redaction.ts';
import { findAction } from '../blocks/find.ts';
import { findBlock, findWorkspace } from '../workspaces/find.ts';
import type { Git } from '../workspaces/git-state.ts';
import { knownOf } from '../workspaces/known.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { Executor } from './executor.ts';
import { copyFolder, copyMounts, copyOf, type CopyHow } from './private-copy.ts';
import { planImage } from './plan-image.ts';
import type { RunFiles } from './run-files.ts';
import type { PolicyPorts } from './policies.ts';
import type { RunLedger } from './run-ledger.ts';
import type { LaunchPacket } from './supervision.ts';

/** What the operator configured for executions. */
export interface RunSettings {
  executor: PlanExecutor;
  /** POLYCRATE_MCP_IMAGE; null: the CLI's image in the version this release was tested with. */
  image: string | null;
  default_image: string;
  pull: LaunchPacket['pull'];
  /** How a run that somebody agreed to by its digest is held to it. */
  copy: CopyHow;
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
  git: Git;
  executor: Executor;
  files: RunFiles;
  ledger: Pick<RunLedger, 'key'>;
  settings: RunSettings;
  policy: PolicyPorts;
  clock: Clock;
  /** Real path of a host path; null: nothing there. */
  realPath(path: string): Promise<string | null>;
}

export interface Target {
  workspace: string;
  block: string;
  action: string;
  timeout_seconds?: number | undefined;
  /** Who wants it: what a policy decides about. */
  asker: Asker;
  /** As it was at a commit, checked out in a folder that the caller lends. */
  from?: { commit: string; view: string } | undefined;
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
  const { from } = target;
  const today = findWorkspace(await ports.store.list(target.workspace), target.workspace);
  const workspace = await (from ? ports.store.asOf(today, from.view) : ports.store.unlock(today));
  const block = findBlock(workspace, target.block);
  const action = findAction(block, target.action);
  const [files, plays, git, cli, planned, mounts, key] = await Promise.all([
    ports.store.inspect(workspace, block),
    ports.store.plays(workspace, block, action),
    from ? { commit: from.commit, branch: null, dirty: false } : ports.git.state(workspace.path),
    installedCli(ports.executor),
    planImage(ports, workspace),
    workspaceMounts(ports, workspace),
    ports.ledger.key('runs'),
  ]);
  const layout = layoutOf(ports, workspace, 'RUN');
  const snapshot = snapshotOf({ workspace, block, action, files, layout });
  const around = await circumstancesOf(ports, target.asker);
  const drawn = buildPlan({
    workspace,
    block,
    action,
    files,
    git,
    view: from?.view ?? null,
    executor: ports.settings.executor,
    cli: cli.found,
    image: planned.image,
    custom: planned.custom,
    layout,
    env: environmentOf(ports, { workspace, block, action, files, layout, image: planned.image }),
    mounts,
    extra_hosts: ports.settings.extra_hosts,
    timeout_ms: timeoutOf(ports.settings, target),
    reach: await reachOf(action, files, { plays, snapshot }),
    locked: ports.settings.copy === 'read-only',
    key,
  });
  const decision = decide(drawn, ports.settings.limits, around);
  const plan = { ...drawn, timeout_ms: stricter(drawn.timeout_ms, decision.limits?.timeout) };
  return { plan, decision, engine: planned.problem ?? cli.problem };
}

export async function circumstancesOf(
  { policy, clock }: Pick<PreparePorts, 'policy' | 'clock'>,
  asker: Asker,
): Promise<Circumstances> {
  const now = { asker, at: clock.now(), zone: policy.zone() };
  return { ...now, policy: policy.policies && (await policy.policies.current()) };
}

function stricter(limit: number | null, other: number | undefined): number | null {
  if (other === undefined) return limit;
  return limit === null ? other : Math.min(limit, other);
}

async function installedCli(
  executor: Executor,
): Promise<{ found: InstalledCli | null; problem: AppError | null }> {
  try {
    return { found: (await executor.installed?.()) ?? null, problem: null };
  } catch (error) {
    if (error instanceof AppError) return { found: null, problem: error };
    throw error;
  }
}

function timeoutOf(settings: RunSettings, { timeout_seconds }: Target): number | null {
  if (timeout_seconds === undefined) return settings.timeout_ms;
  const asked = timeout_seconds * 1000;
  // The operator's limit is an upper bound: a caller can only be stricter.
  return settings.timeout_ms === null ? asked : Math.min(asked, settings.timeout_ms);
}

function layoutOf(ports: PreparePorts, workspace: Workspace, run_id: string, pinned?: string): Layout {
  return ports.settings.executor === 'docker'
    ? containerLayout(workspace.config.containerroot)
    : hostLayout(workspace.path, ports.files.folder(run_id), pinned);
}

type Located = Pick<Plan, 'workspace' | 'block' | 'action' | 'files' | 'layout' | 'image'>;

function environmentOf({ settings }: PreparePorts, target: Located): Record<string, string> {
  // The CLI makes the action's own.
  if (settings.executor === 'cli') return { ...CLI_ENVIRONMENT };
  const container = settings.executor === 'docker';
  return actionEnvironment(target, {
    container,
    image: target.image?.reference ?? null,
    version: settings.version,
  });
}

/** The workspace itself, the workspace's extra mounts by their real paths, the engine's socket if configured. */
async function workspaceMounts(ports: PreparePorts, workspace: Workspace): Promise<Mount[]> {
  if (ports.settings.executor === 'local') return [];
  const mounts: Mount[] = [
    { host: workspace.path, container: workspace.config.containerroot, readonly: false },
  ];
  for (const { host, container, readonly } of workspace.extramounts) {
    const asked = host.startsWith('/') ? host : join(workspace.path, host);
    mounts.push({ host: (await ports.realPath(asked)) ?? asked, container, readonly });
  }
  if (ports.settings.executor === 'docker' && ports.settings.mount_docker_socket) {
    mounts.push({ host: DOCKER_SOCKET, container: DOCKER_SOCKET, readonly: false });
  }
  return mounts;
}

export interface PacketParts {
  run_id: string;
  redactions: readonly string[];
  /** Execute a copy of what was planned, and nothing that came afterwards. */
  pinned: boolean;
}

/** Everything that a supervisor needs to start the planned action as the run of that id. */
export function packetOf(
  ports: PreparePorts,
  plan: Plan,
  { run_id, redactions, pinned }: PacketParts,
): LaunchPacket {
  const { settings } = ports;
  // The CLI reads the workspace itself, wherever it lies: nothing can be put in its place.
  const copy = pinned && plan.executor !== 'cli' ? copyOf(plan, settings.copy) : null;
  const from = copyFolder(ports.files, run_id);
  const apart = copy !== null && copy.how !== 'checked';
  const layout = layoutOf(ports, plan.workspace, run_id, apart ? from : undefined);
  const located = { ...plan, layout };
  const files = plan.executor === 'cli' ? [] : runFiles(located);
  const own = files.map(({ name }) => name);
  const mounted =
    plan.executor === 'docker'
      ? [
          ...(copy ? copyMounts(copy, from, layout.root) : []),
          ...own.map((name) => runFileMount(ports, { run_id, name, layout })),
        ]
      : [];
  return {
    spec: {
      run_id,
      image: plan.image?.reference ?? null,
      image_digest: plan.image?.digest ?? null,
      command: plan.command.map((part) => part.replaceAll(plan.layout.run, layout.run)),
      workdir: plan.executor === 'cli' ? layout.root : workdirOf(plan.block, layout),
      env: { ...(plan.executor !== 'docker' && settings.host_environment), ...environmentOf(ports, located) },
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
    copy,
    redactions,
    pull: settings.pull,
    build: buildOf(plan),
  };
}

function buildOf({ workspace, image, custom }: Plan): LaunchPacket['build'] {
  if (!image?.build || !custom) return null;
  const { dockerfile, digest, context, bases } = image.build;
  return {
    root: workspace.path,
    ...{ dockerfile, digest, bases },
    context: context?.digest ?? null,
    left_out: custom.left_out,
    tag: image.reference,
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
  { store }: { store: Pick<WorkspaceStore, 'secretFiles'> },
  { workspace, files }: Pick<Plan, 'workspace'> & { files: Pick<Plan['files'], 'hosts'> },
): Promise<string[]> {
  const { secrets, names } = knownOf(workspace);
  return withoutNames({
    secrets: [...secrets, ...(await store.secretFiles(workspace))],
    names: [...names, ...(files.hosts ?? [])],
  });
}

/** The same for output of a workspace that was not planned here: what others ran may have printed any of its secrets. */
export async function secretsOf(store: Pick<WorkspaceStore, 'unlock' | 'secretFiles'>, workspace: Workspace): Promise<string[]> {
  return redactionsOf({ store }, { workspace: await store.unlock(workspace), files: { hosts: null } });
} // prettier-ignore
