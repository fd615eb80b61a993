import type { Answer, Connection } from '../support/mcp.ts';
import { ACTION_NAMES, BLOCKS } from './actions.ts';
import type { Random } from './random.ts';

/** One thing that the client wants done once, however often it has to ask. */
export interface Ask {
  /** Unique, stored in the record: what was wanted can be counted in the ledger. */
  reason: string;
  tool: 'run_action' | 'retrigger_action_run';
  args: Record<string, unknown>;
  keyed: boolean;
  /** Ids of runs that answers named; more than one is wrong. */
  told: Set<string>;
  /** A call of it is under way. */
  pending: boolean;
}

/** The end of a run as an answer told it. */
export interface ToldEnd {
  run_id: string;
  status: string;
  exit_code: number | null;
  duration_ms: number | null;
}

/** Everything the client was told, which the ledger must still know at the end. */
export interface Book {
  asks: Ask[];
  named: Set<string>;
  ends: ToldEnd[];
  replays: number;
  /** Errors that no kill explains. */
  surprises: string[];
}

export function createBook(): Book {
  return { asks: [], named: new Set(), ends: [], replays: 0, surprises: [] };
}

/** Refusals that belong to what is asked here. */
const EXPECTED = new Set(['already_active', 'refused']);

const KINDS = { keyed: 40, keyless: 15, again: 20, cancel: 12, retrigger: 8, wait: 5 };

/** Sends one call; resolves when it was answered or its server is gone. */
export async function sendSomething(server: Connection, book: Book, random: Random): Promise<void> {
  const kind = random.weighed(KINDS);
  const run_id = book.named.size > 0 ? random.of([...book.named].slice(-6)) : null;
  const wait_seconds = random.of([0, 0, 0.3, 5]);
  if (kind === 'again' || kind === 'keyless' || kind === 'keyed' || run_id === null) {
    const earlier = book.asks.filter(({ pending, told, keyed }) => !pending && (keyed || told.size === 0));
    const again = kind === 'again' && earlier.length > 0 ? random.of(earlier.slice(-8)) : null;
    const ask = again ?? newAsk(book, { random, keyed: kind !== 'keyless', retrigger_of: null });
    return void (await send(server, book, { ask, wait_seconds }));
  }
  if (kind === 'retrigger') {
    const ask = newAsk(book, { random, keyed: true, retrigger_of: run_id });
    return void (await send(server, book, { ask, wait_seconds }));
  }
  const call =
    kind === 'cancel'
      ? server.call('cancel_action_run', { run_id, reason: 'enough' })
      : server.call('wait_for_action_run', { run_id, wait_seconds });
  await call.then(
    (answer) => note(book, answer),
    () => undefined,
  );
}

interface NewAsk {
  random: Random;
  keyed: boolean;
  retrigger_of: string | null;
}

export function newAsk(book: Book, { random, keyed, retrigger_of }: NewAsk): Ask {
  const reason = `ask ${book.asks.length}`;
  const target = { workspace: 'scripts', block: random.of(BLOCKS), action: random.of(ACTION_NAMES) };
  const ask: Ask = {
    reason,
    tool: retrigger_of === null ? 'run_action' : 'retrigger_action_run',
    args: {
      ...(retrigger_of === null
        ? { ...target, allow_concurrent: random.chance(0.8) }
        : { run_id: retrigger_of, mode: 'current' }),
      reason,
      ...(keyed && { idempotency_key: reason }),
    },
    keyed,
    told: new Set(),
    pending: false,
  };
  book.asks.push(ask);
  return ask;
}

/** The answer; null: the server was gone before there was one. */
export async function send(
  { call }: Pick<Connection, 'call'>,
  book: Book,
  { ask, wait_seconds, timeout }: { ask: Ask; wait_seconds: number; timeout?: number },
): Promise<Answer | null> {
  const onprogress = ({ message }: { message?: string }): void => {
    const named = /run ([0-9a-f-]{36})/.exec(message ?? '')?.[1];
    if (named) tell(book, ask, named);
  };
  ask.pending = true;
  try {
    const answer = await call(
      ask.tool,
      { ...ask.args, wait_seconds },
      { onprogress, ...(timeout && { timeout }) },
    );
    const run_id = note(book, answer);
    if (run_id) tell(book, ask, run_id);
    return answer;
  } catch {
    // The server is gone: nothing was acknowledged.
    return null;
  } finally {
    ask.pending = false;
  }
}

function tell(book: Book, ask: Ask, run_id: string): void {
  book.named.add(run_id);
  ask.told.add(run_id);
}

function note(book: Book, { data, error }: Answer): string | null {
  if (error) {
    if (!EXPECTED.has(error.code)) book.surprises.push(`${error.code}: ${error.message}`);
    return null;
  }
  const { run, finished, replayed } = data;
  if (replayed) book.replays += 1;
  if (finished) {
    const { status, exit_code, duration_ms } = run;
    book.ends.push({ run_id: run.id, status, exit_code, duration_ms });
  }
  return run.id;
}
