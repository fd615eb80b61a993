import type { JsonObject } from '../shared/json.ts';

/** What both ways of reporting a run name; the API looks the names up. */
export interface ReportedBlock {
  organization: string;
  workspace: string;
  block: string;
  action: string;
  block_version?: string;
}

export interface StartReport extends ReportedBlock {
  /** ISO 8601, here and below. */
  started_at: string;
  block_labels: JsonObject;
  /** Cancels the record that is in the way. */
  force?: boolean;
}

export interface FinishReport {
  exit_code: number;
  finished_at: string;
  /** Never empty: left out instead. */
  stdout?: string;
  stderr?: string;
  metadata: JsonObject;
  status?: 'cancelled';
}

export type OneShotReport = ReportedBlock &
  Omit<FinishReport, 'status'> & { started_at: string; name?: string };

/** A record at the API that a report led to. */
export interface RemoteRecord {
  id: string;
  url: string | null;
}

export type StartAnswer =
  | { outcome: 'started'; record: RemoteRecord }
  /** Another run of the block is open there. */
  | { outcome: 'conflict'; record: RemoteRecord };

export interface NamedRef {
  id: string | null;
  name: string | null;
}

export interface RemoteUser {
  id: number | null;
  username: string | null;
  email: string | null;
}

/** A run as lists of the API show it. Times are epoch milliseconds; `status` may be a word that we do not know. */
export interface RemoteRun {
  id: string;
  status: string;
  action: string | null;
  organization: NamedRef | null;
  workspace: NamedRef | null;
  block: NamedRef | null;
  started_at: number | null;
  finished_at: number | null;
  exit_code: number | null;
  created_at: number | null;
  user: RemoteUser | null;
  url: string | null;
}

export interface RemoteRunDetail extends RemoteRun {
  status_reason: string | null;
  block_version: string | null;
  block_labels: JsonObject | null;
  /** May hold secrets: only digests of it leave `platform/`. */
  block_config: JsonObject | null;
  metadata: JsonObject | null;
  command: string | null;
  task_id: string | null;
  updated_at: number | null;
  is_deleted: boolean;
  archived: boolean;
}

export interface RemoteLog {
  stdout: string | null;
  stderr: string | null;
}

export interface RemoteWorkspace {
  id: string;
  /** In lists the display name, which need not be the technical one. */
  name: string;
  organization: NamedRef | null;
  purpose: string | null;
  url: string | null;
  commit: string | null;
  created_at: number | null;
  archived: boolean;
}

export interface RemoteBlock {
  id: string;
  name: string;
  workspace: NamedRef | null;
  organization: NamedRef | null;
  kind: string | null;
  version: string | null;
  template: boolean;
}

export interface RemoteBlockDetail extends RemoteBlock {
  from: string | null;
  app_version: string | null;
  /** `cli`, `operator`, `api` …: who manages it. */
  managed_by: string | null;
  /** With what they ask before they run; null: the API does not tell. */
  actions: { name: string; prompt: string | null }[] | null;
}

export interface RemoteOrganization {
  id: string;
  name: string;
}

export interface RemoteActivity {
  id: string;
  kind: string;
  message: string | null;
  user_email: string | null;
  object_type: string | null;
  object_id: string | null;
  object_name: string | null;
  created_at: number | null;
}

export interface RolloutItem {
  id: string;
  block: string;
  action: string;
  /** `pending`, `in_progress`, `completed`, `failed`, `retrying`, `skipped`, or a word that we do not know. */
  status: string;
  /** The run, once it is started. */
  action_run: string | null;
  reason: string | null;
  /** Set: it failed and is tried again then. */
  retry_after: number | null;
}

export interface RemotePage<T> {
  items: T[];
  /** How many the page had, with those that could not be read. */
  size: number;
  count: number;
  /** False: this was the last page. */
  more: boolean;
  /** Its number by its own links; null: they do not tell. */
  page: number | null;
}

export interface RunFilters {
  organization?: string;
  workspace?: string;
  block?: string;
  action?: string;
  status?: 'pending' | 'running' | 'success' | 'failed';
  time_range?: '1h' | '6h' | '12h' | '24h' | '7d' | '30d' | '90d';
  /** A field name, with a minus for descending. The API's own default is newest first by creation. */
  ordering?: string;
  page?: number;
  page_size?: number;
}

export interface ListFilters {
  name?: string;
  organization_name?: string;
  organization?: string;
  workspace?: string;
  page?: number;
  page_size?: number;
}

export interface ActivityFilters {
  kind?: string;
  object_id?: string;
  page?: number;
  page_size?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** The whole call, repetitions included, may take no longer. */
  within_ms?: number;
}

/** One Polycrate API. Every method rejects with an `ApiError`; names and ids of other objects are the API's. */
export interface PolycrateApi {
  /** The name that the operator gave it. */
  readonly name: string;
  readonly url: string;
  /** How far its clock is ahead of ours, as its newest answer said; 0 before the first. */
  skew_ms(): number;
  start(report: StartReport, options?: CallOptions): Promise<StartAnswer>;
  finish(id: string, report: FinishReport, options?: CallOptions): Promise<RemoteRecord>;
  report(report: OneShotReport, options?: CallOptions): Promise<RemoteRecord>;
  runs(filters: RunFilters, options?: CallOptions): Promise<RemotePage<RemoteRun>>;
  run(id: string, options?: CallOptions): Promise<RemoteRunDetail>;
  log(id: string, options?: CallOptions): Promise<RemoteLog>;
  workspaces(filters: ListFilters, options?: CallOptions): Promise<RemotePage<RemoteWorkspace>>;
  workspace(id: string, options?: CallOptions): Promise<RemoteWorkspace>;
  blocks(filters: ListFilters, options?: CallOptions): Promise<RemotePage<RemoteBlock>>;
  block(id: string, options?: CallOptions): Promise<RemoteBlockDetail>;
  organizations(filters: ListFilters, options?: CallOptions): Promise<RemotePage<RemoteOrganization>>;
  organization(id: string, options?: CallOptions): Promise<RemoteOrganization>;
  activities(filters: ActivityFilters, options?: CallOptions): Promise<RemotePage<RemoteActivity>>;
  activity(id: string, options?: CallOptions): Promise<RemoteActivity>;
  rolloutItems(filters: { block?: string; page?: number }, options?: CallOptions): Promise<RemotePage<RolloutItem>>;
  rolloutItem(id: string, options?: CallOptions): Promise<RolloutItem>;
  /** Queues a block's action at the API; whether it is executed, its item tells. */
  createRolloutItem(item: { block: string; action: string; reason?: string }, options?: CallOptions): Promise<RolloutItem>;
  /** Ids of names, remembered for a while. Refused are unknown names, and names that several objects have. */
  find(names: { organization: string; workspace: string; block: string }, options?: CallOptions): Promise<{ workspace: string; block: string }>;
  close(): Promise<void>;
} // prettier-ignore
