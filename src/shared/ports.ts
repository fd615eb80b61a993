/** Milliseconds since the epoch, and a cancellable sleep. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** `fetch` of the web, by whatever proxies and authorities the operator has for this host. */
export type Fetch = (url: string | URL, init: RequestInit) => Promise<Response>;

/** Mints UUIDv7: sortable by time, always our own. */
export interface Ids {
  next(): string;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Diagnostics for the operator; never stdout, which belongs to the protocol. */
export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

/**
 * Which process holds a lease. `boot_id`, `pid_ns` and `pid_start` make the pid unambiguous: the same four
 * values are never given to two processes.
 */
export interface ProcessIdentity {
  host: string;
  boot_id: string;
  pid_ns: string;
  pid: number;
  pid_start: string;
  /** The data folder it works with, which holds files and logs of its runs. Absent in what older versions stored. */
  place?: string;
}

/** Who is running this process, for the record. */
export interface HostFacts {
  hostname: string;
  os_user: string;
  uid: number;
}

export interface ProcessTable {
  self(): ProcessIdentity;
  /** `unseen`: on another host or in another pid namespace, so only the lease's age can tell. */
  state(process: ProcessIdentity): 'alive' | 'dead' | 'unseen';
}

/** One thing that was done for a caller. */
export interface Span {
  /** Few different ones: nothing that callers make up. */
  name: string;
  /** When it began, epoch milliseconds. */
  at: number;
  /** W3C trace context of the caller; null: it sent none. */
  traceparent: string | null;
  attributes: Readonly<Record<string, string | number>>;
}

/** Tells operators' tools how long what took. Arguments and results are no part of it. */
export interface Tracing {
  begin(span: Span): {
    /** `error`: a word for what went wrong, or null. */
    end(how: { error: string | null; attributes?: Readonly<Record<string, string | number>> }): void;
  };
  /** Sends what waits. */
  close(): Promise<void>;
}
