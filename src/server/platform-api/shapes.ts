import { createHash } from 'node:crypto';
import { isOpen, type ActionRun } from '../../runs/action-run.ts';
import type { JsonObject } from '../../shared/json.ts';
import { uuidOfValues } from '../../shared/uuid.ts';
import { metadataOf, METADATA, RUN_LABEL } from '../../platform/report.ts';
import type { KnownBlock, KnownWorkspace } from './catalogue.ts';

// Records of this ledger as the Polycrate API shows them (polycrate-api facts 3.4, 4.3, 5.3). What the ledger does not
// have is null, and what nobody should see, such as configurations, is never there.

/** Ids of names: this ledger has no objects for them, so the same name has the same id everywhere. */
export function idOf(kind: 'organization' | 'workspace' | 'block', ...names: (string | null)[]): string {
  return uuidOfValues([kind, ...names]);
}

interface Ref {
  id: string;
  name: string;
  display_name: string;
  slug: string;
  kind: string;
  url: null;
}

function refOf(id: string, name: string, kind: string): Ref {
  return { id, name, display_name: name, slug: name, kind, url: null };
}

const organizationRef = (name: string | null): Ref | null =>
  name === null ? null : refOf(idOf('organization', name), name, 'organization');
const workspaceRef = (organization: string | null, name: string): Ref =>
  refOf(idOf('workspace', organization, name), name, 'polycrate');
const blockRef = (organization: string | null, workspace: string, name: string): Ref =>
  refOf(idOf('block', organization, workspace, name), name, 'generic');

/** Users have numbers there. */
function userOf({ principal }: ActionRun): JsonObject | null {
  if (!principal) return null;
  const { kind, issuer, subject, display } = principal;
  const id = createHash('sha256').update(JSON.stringify([kind, issuer, subject])).digest().readUInt32BE(0) >>> 1;
  return { id, username: display, ...(subject.includes('@') && { email: subject }) };
} // prettier-ignore

function createdOf(at: number | null, user: JsonObject | null = null): JsonObject {
  return { ...(at !== null && { created_at: iso(at) }), created_by: user };
}

export function iso(time: number): string;
export function iso(time: number | null): string | null;
export function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** The API has no word for an end that nobody saw. It is no success. */
export function statusWord({ status }: Pick<ActionRun, 'status'>): string {
  return status === 'unknown' ? 'failed' : status;
}

/** Where lists put a run: they are in this order. */
export function createdAt({ started_at, requested_at }: ActionRun): number {
  return started_at ?? requested_at;
}

export interface ShapePlace {
  /** Address of the whole run. */
  urlOf(run_id: string): string;
}

export function runItem(run: ActionRun, { urlOf }: ShapePlace): JsonObject {
  const { id, organization, workspace, block, action, environment } = run;
  return {
    id,
    name: [action, block].filter((name) => name !== null).join(' '),
    state: 'OK',
    labels: environment ? { environment: environment.value } : {},
    conditions: [],
    condition_instance_count: 0,
    active_condition_instances: [],
    organization: { ...organizationRef(organization) },
    organization_priority: false,
    workspace: { ...workspaceRef(organization, workspace) },
    block: block === null ? null : { ...blockRef(organization, workspace, block) },
    created: createdOf(createdAt(run), userOf(run)),
    archived: false,
    reconciliation_running: false,
    effective_criticality: null,
    url: urlOf(id),
    status: statusWord(run),
    action,
    started_at: iso(run.started_at),
    finished_at: iso(run.finished_at),
    exit_code: run.exit_code,
    created_by_user: userOf(run),
  };
}

export function runDetail(run: ActionRun, log: { stdout: string; stderr: string }, place: ShapePlace): JsonObject {
  const reporter = run.aliases.find(({ source }) => source === 'ledger')?.id ?? null;
  const ours = reporter ?? (run.source === 'ledger' ? run.id : null);
  // Whoever asks whether its report of the end arrived finds its own id here, and not before it did.
  const told = isOpen(run) || (run.status === 'cancelled' && run.source === 'ingest' && run.cancelled_by !== null);
  const principal = run.claimed_principal ?? run.principal;
  const checkpoint = run.evidence?.checkpoint ?? null;
  return {
    ...runItem(run, place),
    status_reason: run.status_reason,
    command: null,
    log_stdout: log.stdout || null,
    log_stderr: log.stderr || null,
    task_id: null,
    block_config: null,
    block_version: run.block_version,
    block_labels: ours === null ? null : { [RUN_LABEL]: ours },
    workspace_poly: null,
    workspace_snapshot: null,
    workspace_config: null,
    raw_data: null,
    metadata: told ? null : { [METADATA]: { ...metadataOf({ ...run, principal }, checkpoint), run_id: ours ?? run.id } },
    rollout: null,
    is_deleted: false,
    updated_at: iso(run.finished_at ?? createdAt(run)),
  };
} // prettier-ignore

export function organizationItem(name: string): JsonObject {
  return { ...organizationRef(name)! };
}

/** The API has a few words for what a workspace is for. */
const PURPOSES = ['production', 'development', 'staging', 'qa', 'infrastructure', 'platform'];

export function workspaceItem({
  organization,
  workspace,
  first_at,
  environment,
}: KnownWorkspace): JsonObject {
  const { id, name, kind, url } = workspaceRef(organization, workspace);
  return {
    id,
    name,
    state: 'OK',
    labels: {},
    organization: { ...organizationRef(organization) },
    created: createdOf(first_at),
    archived: false,
    url,
    kind,
    legacy: false,
    purpose: environment !== null && PURPOSES.includes(environment) ? environment : null,
  };
}

export function workspaceDetail(workspace: KnownWorkspace, blocks: readonly KnownBlock[]): JsonObject {
  return {
    ...workspaceItem(workspace),
    display_name: workspace.workspace,
    blocks: blocks.map(({ organization, workspace: home, block }) => ({
      ...blockRef(organization, home, block),
    })),
  };
}

export function blockItem({ organization, workspace, block, version, kind }: KnownBlock): JsonObject {
  return {
    id: idOf('block', organization, workspace, block),
    name: block,
    state: 'OK',
    organization: { ...organizationRef(organization) },
    workspace: { ...workspaceRef(organization, workspace) },
    kind: kind ?? 'generic',
    version,
    template_block: null,
    template: false,
    installed: true,
  };
}

export function blockDetail(block: KnownBlock): JsonObject {
  return {
    ...blockItem(block),
    from_block: block.from,
    app_version: null,
    config: null,
    actions: block.actions.map((name) => ({ name })),
    created_by_component: 'cli',
  };
}
