/** Milliseconds since the epoch, and a cancellable sleep. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

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
