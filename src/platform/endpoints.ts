import type { PolycrateApi } from './polycrate-api.ts';

/** What happens when a run of the block is already open at the API. */
export type OnRemoteConflict = 'warn' | 'refuse' | 'force';
export const ON_REMOTE_CONFLICT = ['warn', 'refuse', 'force'] as const;

/** A Polycrate API that the operator named. */
export interface ApiEndpoint {
  name: string;
  url: string;
  key: string;
  /** Whether runs are reported there at all. */
  submit: boolean;
  /** `organization/workspace`, with `*` at the end for any rest; null: every workspace that no other endpoint names. */
  workspaces: readonly string[] | null;
  on_remote_conflict: OnRemoteConflict;
}

export interface ApiSetup {
  endpoints: readonly ApiEndpoint[];
  /** Why something that was configured is not used. */
  problems: readonly string[];
  /** Works, but perhaps not as meant. */
  warnings: readonly string[];
  /** Files that were looked at, for the doctor. */
  read: readonly string[];
}

/** The configured endpoints; read when first asked for. */
export interface ApiDirectory {
  setup(): Promise<ApiSetup>;
  /** Null: no endpoint has that name. */
  open(name: string): Promise<PolycrateApi | null>;
  close(): Promise<void>;
}

export interface Address {
  organization: string | null;
  workspace: string;
}

/** Which workspaces an operator means: all, none, or those that fit a pattern. */
export type WorkspaceChoice = 'all' | 'none' | readonly string[];

/** The endpoint that knows a workspace: the first that names it, else the first that names none. */
export function endpointOf({ endpoints }: Pick<ApiSetup, 'endpoints'>, address: Address): ApiEndpoint | null {
  const naming = endpoints.find(({ workspaces }) => workspaces !== null && fits(workspaces, address));
  return naming ?? endpoints.find(({ workspaces }) => workspaces === null) ?? null;
}

/** Where a run of that workspace is reported to; null: nowhere. The API knows no workspace without organization. */
export function submissionTarget(
  setup: Pick<ApiSetup, 'endpoints'>,
  address: Address,
  choice: WorkspaceChoice,
): ApiEndpoint | null {
  const chosen = choice === 'all' || (choice !== 'none' && fits(choice, address));
  if (!chosen || address.organization === null) return null;
  const endpoint = endpointOf(setup, address);
  return endpoint?.submit ? endpoint : null;
}

function fits(patterns: readonly string[], { organization, workspace }: Address): boolean {
  const full = `${organization ?? '-'}/${workspace}`;
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? full.startsWith(pattern.slice(0, -1)) : full === pattern,
  );
}
