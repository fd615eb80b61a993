import { AppError, messageOf } from '../../shared/errors.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { LogPieces, RunLogs, RunLogWriter } from '../../runs/run-log.ts';
import { createLogCopy, type LogCopy } from './log-copy.ts';
import type { Wire } from './wire.ts';

/** Output is at the server so soon. */
const EVERY_MS = 500;
/** How long the end of a run waits for its log; the rest follows before its lease goes. */
const END_MS = 5_000;
/** And how long its lease waits: after that the lease stays for the next recovery. */
const SETTLE_MS = 60_000;
const AGAIN_MS = 1_000;
/** Whoever waited for the run may still read its log here. */
const KEPT_MS = 5 * 60_000;

export interface ShippedLogs extends RunLogs {
  /** Resolves when the server has the whole log, or will not take it. */
  settle(run_id: string): Promise<void>;
  close(): Promise<void>;
}

interface LogParts {
  wire: Pick<Wire, 'call'>;
  /** Of nothing but runs of this server: what is there is a copy, and leaves when it is at the server. */
  local: { logs: RunLogs; pieces: LogPieces };
  clock: Clock;
  log: Log;
}

/** Logs are written in the data folder, whatever the server does, and copied to the server while they are written. */
export function createShippedLogs({ wire, local, clock, log }: LogParts): ShippedLogs {
  const copies = new Map<string, LogCopy>();
  const copyOf = (run_id: string): LogCopy => {
    const copy = copies.get(run_id) ?? createLogCopy({ wire, pieces: local.pieces }, run_id);
    copies.set(run_id, copy);
    return copy;
  };
  const timers = createTimers();
  const open = new Set<string>();
  const soon = (run_id: string): void =>
    timers.begin(run_id, EVERY_MS, async () => {
      try {
        await copyOf(run_id).send();
      } catch (error) {
        log('debug', 'a log could not be copied yet', { run: run_id, error: messageOf(error) });
        if (open.has(run_id)) soon(run_id);
      }
    });
  const ended = (run_id: string): void => {
    open.delete(run_id);
    timers.end(run_id);
  };
  /** One copy of a log for as long as the log is here: two of them would send the same lines. */
  const remove = async (run_id: string): Promise<boolean> => {
    copies.delete(run_id);
    return await local.logs.remove(run_id);
  };
  let swept: Promise<void> | null = null;

  return {
    ...local.logs,
    put: () => Promise.reject(new AppError('refused', 'logs of other programs are imported by the server')),
    async open(run_id, how) {
      swept ??= sweep({ wire, local, log });
      const writer = await local.logs.open(run_id, how);
      open.add(run_id);
      return {
        drain: () => writer.drain(),
        write(stream, chunk) {
          soon(run_id);
          return writer.write(stream, chunk);
        },
        async close() {
          const summary = await writer.close();
          ended(run_id);
          await within(END_MS, copyOf(run_id).send());
          return summary;
        },
        async abandon() {
          await writer.abandon();
          ended(run_id);
        },
      } satisfies RunLogWriter;
    },
    async settle(run_id) {
      const until = clock.now() + SETTLE_MS;
      for (;;) {
        try {
          await copyOf(run_id).send();
          break;
        } catch (error) {
          log('warn', 'the log of a run is not at the server yet', { run: run_id, error: messageOf(error) });
          if (error instanceof AppError && error.code !== 'ledger_unavailable') break;
          if (clock.now() > until) throw error;
          await clock.sleep(AGAIN_MS);
        }
      }
      timers.begin(run_id, KEPT_MS, async () => void (await remove(run_id)));
    },
    remove,
    async close() {
      timers.close();
    },
  };
} // prettier-ignore

/** What an earlier process left behind: no lease, so nothing more can be copied. */
async function sweep({ wire, local, log }: Pick<LogParts, 'wire' | 'local' | 'log'>): Promise<void> {
  try {
    const before = await local.logs.ids();
    if (before.length === 0) return;
    const held = new Set((await wire.call('leases/list', {})).map(({ run_id }) => run_id));
    for (const run_id of before) if (!held.has(run_id)) await local.logs.remove(run_id);
  } catch (error) {
    log('debug', 'logs of earlier runs are still here', { error: messageOf(error) });
  }
}

/** Waits no longer than that for it, and not for how it ends. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([late, work.catch(() => undefined)]);
  clearTimeout(timer);
}

interface Timers {
  /** Does nothing while one of that name waits. */
  begin(name: string, ms: number, act: () => Promise<void>): void;
  end(name: string): void;
  close(): void;
}

function createTimers(): Timers {
  const timers = new Map<string, NodeJS.Timeout>();
  const end = (name: string): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
  };
  return {
    begin(name, ms, act) {
      if (timers.has(name)) return;
      const timer = setTimeout(() => {
        timers.delete(name);
        void act().catch(() => undefined);
      }, ms);
      timers.set(name, timer.unref());
    },
    end,
    close: () => [...timers.keys()].forEach(end),
  };
}
