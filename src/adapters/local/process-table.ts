import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

/** What /proc/<pid>/stat tells that matters here (proc(5): fields 3, 5 and 22). */
export interface ProcessStat {
  pid: number;
  state: string;
  group: number;
  /** Clock ticks after boot; with the pid it names a process without doubt. */
  start: string;
}

const HAS_PROC = existsSync('/proc/self/stat');
/** Where there is no /proc. The start time comes last, as it holds spaces. */
const PS_COLUMNS = ['-o', 'pid=,pgid=,stat=,lstart='];

/** Linux reports ticks in hundredths of a second to programs, whatever the kernel's own rate. */
const TICK_MS = 10;

/** The command's name stands in parentheses and may hold spaces and parentheses itself. */
export function parseStat(text: string): ProcessStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, , group] = fields;
  const start = fields[19];
  if (state === undefined || group === undefined || start === undefined) return null;
  return { pid: Number.parseInt(text, 10), state, group: Number(group), start };
}

/** One line of `ps`: pid, group, state, start; the start is kept as epoch milliseconds, marked by an `@`. */
export function parsePs(line: string): ProcessStat | null {
  const [, pid, group, state, start] = /^\s*(\d+)\s+(\d+)\s+(\S)\S*\s+(.+?)\s*$/.exec(line) ?? [];
  if (pid === undefined || state === undefined || start === undefined) return null;
  return { pid: Number(pid), state, group: Number(group), start: `@${Date.parse(start)}` };
}

/** Synchronous on purpose: right after a spawn a process cannot be reaped before we return to the event loop. */
export function statNow(pid: number): ProcessStat | null {
  try {
    if (HAS_PROC) return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return parsePs(execFileSync('ps', [...PS_COLUMNS, '-p', String(pid)], { encoding: 'utf8' }));
  } catch {
    return null;
  }
}

/** Living members of a process group; zombies do not count. */
export async function groupMembers(group: number): Promise<ProcessStat[]> {
  const all = await everyProcess();
  return all.filter((process) => process.group === group && process.state !== 'Z' && process.state !== 'X');
}

/** Own living processes whose environment has this entry, oldest first. */
export async function processesWithEnv(entry: string, uid: number): Promise<ProcessStat[]> {
  const found = await Promise.all(
    (await everyProcess()).map(async (process) => {
      if (process.state === 'Z' || process.state === 'X') return null;
      return (await hasEnv(process.pid, { entry, uid })) ? process : null;
    }),
  );
  return found.filter((process) => process !== null).sort((a, b) => Number(a.start) - Number(b.start));
}

/** Epoch ms of a start time in ticks after boot; null where the system does not say. */
export async function startedAt(start: string): Promise<number | null> {
  if (start.startsWith('@')) return Number(start.slice(1));
  const text = await readFile('/proc/stat', 'utf8').catch(() => '');
  const boot = /^btime (\d+)$/m.exec(text)?.[1];
  return boot === undefined ? null : Number(boot) * 1000 + Number(start) * TICK_MS;
}

async function everyProcess(): Promise<ProcessStat[]> {
  if (!HAS_PROC) {
    const { stdout } = await promisify(execFile)('ps', ['-A', ...PS_COLUMNS]);
    return stdout.split('\n').flatMap((line) => parsePs(line) ?? []);
  }
  const names = await readdir('/proc');
  const stats = await Promise.all(
    names
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').then(parseStat, () => null)),
  );
  return stats.filter((process) => process !== null);
}

async function hasEnv(pid: number, { entry, uid }: { entry: string; uid: number }): Promise<boolean> {
  try {
    if ((await stat(`/proc/${pid}`)).uid !== uid) return false;
    return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').includes(entry);
  } catch {
    // Gone, or another user's.
    return false;
  }
}
