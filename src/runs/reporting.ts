/** What a launch has to know about the Polycrate API; `platform/` answers it. Neither delays a launch by more than a second. */
export interface Reporting {
  /** The API that runs of a workspace are reported to; null: none. Never rejects. */
  target(workspace: { organization: string | null; name: string }): Promise<{ endpoint: string } | null>;
  /** Rejects with `already_active` where the operator wants no launch beside an open run at the API. */
  refuseBeside(target: RemoteTarget): Promise<void>;
}

export interface RemoteTarget {
  organization: string | null;
  workspace: string;
  block: string;
}
