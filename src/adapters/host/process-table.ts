import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { codeOf } from '../../shared/errors.ts';
import type { ProcessIdentity, ProcessTable } from '../../shared/ports.ts';

/** Field 22 of /proc/PID/stat; the command in field 2 may hold blanks and brackets. */
const START_TIME_FIELD = 22 - 3;

/** Tells processes apart on this host, also after a pid was given again. */
export function createProcessTable(): ProcessTable {
  let self: ProcessIdentity | null = null;
  return {
    self: () => (self ??= identityOf(process.pid)),
    state(other) {
      const here = (self ??= identityOf(process.pid));
      if (other.host !== here.host || other.pid_ns !== here.pid_ns) return 'unseen';
      if (other.boot_id !== here.boot_id) return 'dead';
      return startTimeOf(other.pid) === other.pid_start ? 'alive' : 'dead';
    },
  };
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
