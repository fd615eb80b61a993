import {
  FORGET_MS,
  KEEP_NAME_MS,
  type Announcement,
  type OpenCall,
  type RunnerExchange,
  type RunnerPresence,
} from '../../runners/exchange.ts';
import { createWaiters } from '../../shared/waiters.ts';

interface Entry {
  runner: Announcement;
  presence: RunnerPresence;
  seen_at: number;
}

interface Call extends OpenCall {
  expires_at: number;
  taker: string | null;
}

/** A ledger in a file has one server that runners connect to, so they meet in its memory. */
export function createLocalExchange(now: () => number = Date.now): RunnerExchange {
  const runners = new Map<string, Entry>();
  const calls = new Map<string, Call>();
  const waiters = createWaiters();
  const own = (name: string, key: string): Entry | null => {
    const entry = runners.get(name);
    return entry?.runner.key === key ? entry : null;
  };
  const open = (id: string): Call | null => {
    const call = calls.get(id);
    return call && call.expires_at > now() ? call : null;
  };
  const sweep = (): void => {
    for (const [id, { expires_at }] of calls) if (expires_at <= now()) calls.delete(id);
    for (const [name, { seen_at }] of runners) if (seen_at < now() - FORGET_MS) runners.delete(name);
  };

  return {
    async enter(runner) {
      sweep();
      const there = runners.get(runner.name);
      const free = !there || there.presence === 'ended' || there.seen_at < now() - KEEP_NAME_MS;
      if (!free && there.runner.key !== runner.key) return false;
      runners.set(runner.name, { runner, presence: 'here', seen_at: now() });
      return true;
    },
    async touch(name, key) {
      const entry = own(name, key);
      if (entry) Object.assign(entry, { presence: 'here', seen_at: now() } satisfies Partial<Entry>);
      return entry !== null;
    },
    async leave(name, key, how) {
      const entry = own(name, key);
      if (entry) entry.presence = how;
    },
    async runners() {
      return [...runners.values()]
        .map(({ runner, presence, seen_at }) => ({ ...runner, presence, silent_ms: now() - seen_at }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async put({ valid_ms, ...call }) {
      sweep();
      calls.set(call.id, { ...call, expires_at: now() + valid_ms, taker: null, run_id: null, answer: null });
      waiters.wake();
    },
    async take(runner, taker) {
      const due = [...calls.values()].filter(
        (call) => open(call.id) && call.runner === runner && call.answer === null,
      );
      const mine = due.filter((call) => call.taker === null || call.taker === taker);
      for (const call of mine) call.taker = taker;
      return mine.map(shown);
    },
    async giveBack(taker) {
      for (const call of calls.values()) if (call.taker === taker && call.answer === null) call.taker = null;
      waiters.wake();
    },
    async find(id) {
      const call = open(id);
      return call && shown(call);
    },
    async launched(id, run_id) {
      const call = open(id);
      if (!call || (call.run_id !== null && call.run_id !== run_id)) return false;
      call.run_id = run_id;
      return true;
    },
    async answer(id, runner, answer) {
      const call = open(id);
      if (!call || call.runner !== runner) return false;
      call.answer ??= answer;
      waiters.wake();
      return true;
    },
    async remove(id) {
      const call = calls.get(id);
      calls.delete(id);
      return call ? shown(call) : null;
    },
    changed: (max_ms, signal) => waiters.wait(max_ms, signal),
  };
}

function shown({ expires_at: _, taker: __, ...call }: Call): OpenCall {
  return { ...call };
}
