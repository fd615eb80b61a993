import { AppError, messageOf } from '../shared/errors.ts';
import type { Clock, Ids, Log } from '../shared/ports.ts';
import type { CallAnswer, RulesInForce, SentCall } from './call.ts';
import type { Announcement } from './exchange.ts';

/** What a runner asks its server for, besides the records. */
export interface CallSource {
  /** Answers what decides there. */
  enter(runner: Omit<Announcement, 'key'>): Promise<RulesInForce>;
  /** What decides there. */
  rules(): Promise<RulesInForce>;
  /** Waits for calls; the same `taker` gets those of an answer that was lost again. */
  next(name: string, taker: string, signal: AbortSignal): Promise<NextCalls>;
  answer(name: string, call: string, answer: CallAnswer): Promise<boolean>;
  leave(name: string): Promise<void>;
}

export interface NextCalls {
  /** False: the server has forgotten this runner, which has to enter again. */
  known: boolean;
  calls: readonly { id: string; sent: SentCall }[];
  rules: RulesInForce;
}

export interface AttendPorts {
  source: CallSource;
  name: string;
  /** What it is and has at this moment. */
  announcement(): Promise<Omit<Announcement, 'key'>>;
  /** Never rejects. */
  handle(call: { id: string; sent: SentCall }): Promise<CallAnswer>;
  /** What decides at the server, as of now. */
  heard(rules: RulesInForce): void;
  ids: Ids;
  clock: Clock;
  log: Log;
}

export interface Attendance {
  /** Resolves when the server knows this runner for the first time. Rejects with what only the operator can mend. */
  entered: Promise<void>;
  /** Takes no more calls, and resolves when those that were taken are answered. */
  end(): Promise<void>;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;
/** Calls that are answered at once; more of them wait at the server. */
const MOST_AT_ONCE = 16;
/** How long somebody who asked may be kept waiting when a runner ends. */
const GRACE_MS = 10_000;

/** Nothing that comes by itself mends it. */
function isForGood(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'refused' || error.details?.['key'] === 'refused');
}

/** Connects outwards: says what it has, takes calls, answers them, for as long as it runs. */
export function attend(ports: AttendPorts): Attendance {
  const { source, name, clock, log } = ports;
  const ending = new AbortController();
  const open = new Set<Promise<void>>();
  let told: string | null = null;
  let taker = ports.ids.next();
  let isEntered: () => void = () => undefined;
  let isRefused: (error: unknown) => void = () => undefined;
  const entered = new Promise<void>((resolve, reject) => {
    [isEntered, isRefused] = [resolve, reject];
  });
  entered.catch(() => undefined);

  const answer = async (call: { id: string; sent: SentCall }): Promise<void> => {
    const made = await ports.handle(call);
    await source.answer(name, call.id, made).catch((error: unknown) => {
      log('warn', 'an answer could not be given', { call: call.id, error: messageOf(error) });
    });
  };
  const enter = async (): Promise<void> => {
    const announcement = await ports.announcement();
    const text = JSON.stringify(announcement);
    if (text === told) return;
    ports.heard(await source.enter(announcement));
    told = text;
    isEntered();
  };
  const turn = async (): Promise<void> => {
    await enter();
    const { known, calls, rules } = await source.next(name, taker, ending.signal);
    ports.heard(rules);
    taker = ports.ids.next();
    if (!known) told = null;
    for (const call of calls) {
      const answering = answer(call).finally(() => open.delete(answering));
      open.add(answering);
    }
    while (open.size >= MOST_AT_ONCE) await Promise.race(open);
  };
  const loop = async (): Promise<void> => {
    let pause_ms = FIRST_PAUSE_MS;
    let problem: string | null = null;
    while (!ending.signal.aborted) {
      try {
        await turn();
        if (problem !== null) log('info', 'the server answers again');
        [pause_ms, problem] = [FIRST_PAUSE_MS, null];
      } catch (error) {
        if (ending.signal.aborted) return;
        if (isForGood(error)) isRefused(error);
        if (problem !== messageOf(error))
          log('warn', 'the server gives no calls', { error: messageOf(error) });
        problem = messageOf(error);
        await clock.sleep(pause_ms, ending.signal);
        pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_MS);
      }
    }
  };
  const looping = loop();
  return {
    entered,
    async end() {
      ending.abort();
      await looping;
      await Promise.race([Promise.all(open), clock.sleep(GRACE_MS)]);
      await source.leave(name).catch(() => undefined);
    },
  };
}
