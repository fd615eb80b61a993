import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { type Readable } from 'node:stream';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { type Clock } from '../../shared/ports.ts';
import { type Ending, type Execution, type LaunchSpec, type OutputSink } from '../../runs/executor.ts';
import { type Pipes, readPipes } from './pipes.ts';
import { signalGroup, stopGroup, untilGroupGone } from './process-group.ts';
import { statNow } from './process-table.ts';

/** Marks the processes of a run, so that a later process finds them. */
export const RUN_VARIABLE = 'POLYCRATE_MCP_RUN_ID';

export interface LocalTimes {
  clock: Clock;
  /** How long pipes may stay open after the leader's exit (ms). */
  lingerMs: number;
}

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  at: number;
}

interface Started {
  pid: number;
  exited: Promise<Exit>;
  stdout: Readable;
  stderr: Readable;
}

/** Starts the command as the leader of a process group of its own, with exactly the given environment. */
export async function launchLocally(
  spec: LaunchSpec,
  sink: OutputSink,
  times: LocalTimes,
): Promise<Execution> {
  await checkWorkdir(spec.workdir);
  const child = await spawnGroup(spec, times.clock);
  const started_at = times.clock.now();
  const start = statNow(child.pid)?.start ?? '0';
  const pipes = readPipes({ stdout: child.stdout, stderr: child.stderr }, sink, times.clock);
  const ending = untilEnded(child, pipes, times);
  let over = false;
  void ending.finally(() => (over = true));
  return {
    ref: `${child.pid}:${start}`,
    started_at,
    image_digest: null,
    over: false,
    ending,
    stop: async (grace_ms) => {
      if (!over) await stopGroup({ group: child.pid, over: child.exited, grace_ms }, times.clock);
    },
    detach: () => pipes.discard(),
    dispose: async () => undefined,
  };
}

async function checkWorkdir(workdir: string): Promise<void> {
  const facts = await stat(workdir).catch(() => null);
  if (facts?.isDirectory() === true) return;
  throw new AppError('launch_failed', `The working directory ${workdir} is not a folder on this host.`);
}

async function spawnGroup(spec: LaunchSpec, clock: Clock): Promise<Started> {
  const { execa } = await import('execa');
  const [program, ...args] = spec.command;
  if (program === undefined) throw new AppError('launch_failed', 'The command is empty.');
  const child = execa(program, args, {
    cwd: spec.workdir,
    env: { ...spec.env, [RUN_VARIABLE]: spec.run_id },
    extendEnv: false,
    detached: true,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    cleanup: false,
  });
  const exited = new Promise<Exit>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal, at: clock.now() })),
  );
  if (child.pid !== undefined) {
    return { pid: child.pid, exited, stdout: child.stdout, stderr: child.stderr };
  }
  const result = await child;
  throw notStarted(program, result.cause ?? result);
}

function notStarted(program: string, cause: unknown): AppError {
  const words: Record<string, string> = {
    ENOENT: 'there is no such program on this host',
    EACCES: 'it may not be executed',
  };
  const why = words[codeOf(cause) ?? ''] ?? messageOf(cause);
  return new AppError('launch_failed', `${program} could not be started: ${why}.`, { cause });
}

async function untilEnded(child: Started, pipes: Pipes, times: LocalTimes): Promise<Ending> {
  const exit = await child.exited;
  const held = await heldOpen(pipes, times);
  const words = exit.signal === null ? [] : [`it was ended by ${exit.signal}`];
  if (held) {
    pipes.close();
    await endRest(child.pid, times);
    words.push('background processes still held its output and were ended');
  }
  return {
    exit_code: exit.signal === null ? exit.code : 128 + constants.signals[exit.signal],
    finished_at: exit.at,
    out_of_memory: false,
    error: words.length === 0 ? null : words.join('; '),
  };
}

/** Kills what is left of a group and sees it go, but waits no longer than the pipes were given. */
async function endRest(group: number, { clock, lingerMs }: LocalTimes): Promise<void> {
  if (!signalGroup(group, 'SIGKILL')) return;
  const settled = new AbortController();
  await Promise.race([untilGroupGone(group, clock), clock.sleep(lingerMs, settled.signal)]);
  settled.abort();
}

/** After the leader's exit: true if its pipes did not end in time, not counting pauses that the sink asked for. */
async function heldOpen(pipes: Pipes, { clock, lingerMs }: LocalTimes): Promise<boolean> {
  const since = clock.now();
  const settled = new AbortController();
  let ended = false;
  const end = pipes.ended.then(() => {
    ended = true;
  });
  for (;;) {
    await Promise.race([end, pipes.flowing()]);
    const left = lingerMs - (clock.now() - since - pipes.pausedSince(since));
    if (!ended && left > 0) await Promise.race([end, clock.sleep(left, settled.signal)]);
    if (ended) settled.abort();
    if (ended || left <= 0) return !ended;
  }
}
