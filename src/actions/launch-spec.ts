export interface Mount {
  /** Absolute path on the host. */
  host: string;
  /** Absolute path in the container. */
  container: string;
  readonly: boolean;
}

/** Everything an execution needs, resolved: an executor decides nothing. */
export interface LaunchSpec {
  run_id: string;
  /** Image reference for messages and pulling; null for executors without containers. */
  image: string | null;
  /** The image id that was planned; when set, exactly this image is started. */
  image_digest: string | null;
  /** Argument array; never passed through a shell of ours. */
  command: readonly string[];
  /** Working directory where the command runs: container path, or host path without containers. */
  workdir: string;
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  /** `name:ip` entries for the container's hosts file. */
  extra_hosts: readonly string[];
  labels: Readonly<Record<string, string>>;
  limits: { memory_bytes: number | null; cpus: number | null; pids: number | null; engine_log_bytes: number };
  /** Milliseconds from start until its supervisor stops it; null: no limit. */
  timeout_ms: number | null;
}

/** A file that exists only while the run does: mode 0600, in a folder of the run's own. */
export interface RunFile {
  /** May have folders in it. */
  name: string;
  content: string;
  /** Of the content; text by default. */
  encoding?: 'base64';
}
