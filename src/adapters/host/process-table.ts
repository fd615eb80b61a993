import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import type { ProcessIdentity, ProcessTable } from '../../shared/ports.ts';

/** Field 22 of /proc/PID/stat; the command in field 2 may hold blanks and brackets. */
const START_TIME_FIELD = 22 - 3;

/** Tells processes apart on this host, also after a pid was given again. `home`: the data folder. */
export function createProcessTable(home: string): ProcessTable {
  let self: ProcessIdentity | null = null;
  const here = (): ProcessIdentity => {
    if (self) return self;
    const place = placeOf(home);
    return (self = { ...identityOf(process.pid), ...(place !== undefined && { place }) });
  };
  return {
    self: here,
    state(other) {
      const { host, pid_ns, boot_id } = here();
      if (other.host !== host || other.pid_ns !== pid_ns) return 'unseen';
      if (other.boot_id !== boot_id) return 'dead';
      return startTimeOf(other.pid) === other.pid_start ? 'alive' : 'dead';
    },
  };
}

/**
 * A random name in the folder, so that a folder that moves, or that several hosts see, stays the same place. Undefined
 * where it cannot be written: nothing can be recorded or started there either, and those say why.
 */
function placeOf(home: string): string | undefined {
  const file = join(home, 'place');
  try {
    return readText(file) ?? makePlace(home, file);
  } catch {
    return undefined;
  }
}

/** Of several processes one is the first, and none ever reads a part. */
function makePlace(home: string, file: string): string | undefined {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const draft = join(home, `place.${process.pid}`);
  try {
    writeFileSync(draft, `${randomUUID()}\n`, { mode: 0o600 });
    linkSync(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readText(file);
}

/** Undefined: there is no such file. */
function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function identityOf(pid: number): ProcessIdentity {
  return {
    host: hostname(),
    boot_id: bootId(),
    pid_ns: pidNamespace(),
    pid,
    pid_start: startTimeOf(pid) ?? 'unknown',
  };
}

function bootId(): string {
  if (process.platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return capture('sysctl', ['-n', 'kern.boottime']) ?? 'unknown';
}

function pidNamespace(): string {
  return process.platform === 'linux' ? readlinkSync('/proc/self/ns/pid') : 'host';
}

/** Null: there is no such process, or it is a zombie that only waits to be reaped. */
function startTimeOf(pid: number): string | null {
  if (process.platform !== 'linux') return capture('ps', ['-o', 'lstart=', '-p', String(pid)]);
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[START_TIME_FIELD] ?? null);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}

function capture(command: string, args: string[]): string | null {
  try {
    return (
      execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() || null
    );
  } catch {
    return null;
  }
}
