import {
  FORGET_MS,
  KEEP_NAME_MS,
  type Announcement,
  type KnownRunner,
  type OpenCall,
  type RunnerExchange,
  type RunnerPresence,
} from '../../runners/exchange.ts';
import type { JsonObject } from '../../shared/json.ts';
import type { Database } from './database.ts';
import type { Watch } from './watch.ts';

interface RunnerRow {
  entry: string;
  presence: RunnerPresence;
  silent_ms: number;
}

interface CallRow {
  id: string;
  runner: string;
  body: string;
  run_id: string | null;
  answer: string | null;
}

const RUNNERS =
  'SELECT entry, presence, greatest(0, ledger_now() - seen_at) AS silent_ms FROM runners ORDER BY name';
const FIND =
  'SELECT id, runner, body, run_id, answer FROM runner_calls WHERE id = $1 AND expires_at > ledger_now()';

/** A runner is connected to one of several servers, and a call may come to any of them: they meet in the database. */
export function createExchange(db: Database, watch: Watch): RunnerExchange {
  const write = async (sql: string, values: readonly unknown[]): Promise<void> => {
    await db.write(sql, values);
    watch.wake();
  };
  const asked = async (sql: string, values: readonly unknown[]): Promise<boolean> => {
    const [row] = await db.write<{ done: boolean }>(sql, values);
    return row!.done;
  };
  return {
    enter: (runner) =>
      asked('SELECT ledger_runner_enter($1, $2, $3, $4, $5) AS done', [
        ...[runner.name, runner.key, text(runner)],
        ...[KEEP_NAME_MS, FORGET_MS],
      ]),
    touch: (name, key) => asked('SELECT ledger_runner_touch($1, $2) AS done', [name, key]),
    leave: (name, key, how) => write('SELECT ledger_runner_leave($1, $2, $3)', [name, key, how]),
    async runners() {
      const rows = await db.read<RunnerRow>(RUNNERS);
      return rows.map(({ entry, ...row }): KnownRunner => ({
        ...(JSON.parse(entry) as Announcement),
        ...row,
      }));
    },
    put: ({ id, runner, body, valid_ms }) =>
      write('SELECT ledger_call_put($1, $2, $3, $4)', [id, runner, text(body), valid_ms]),
    async take(runner, taker) {
      const rows = await db.write<CallRow>('SELECT * FROM ledger_call_take($1, $2)', [runner, taker]);
      return rows.map(fromRow);
    },
    giveBack: (taker) => write('SELECT ledger_call_give_back($1)', [taker]),
    async find(id) {
      const [row] = await db.read<CallRow>(FIND, [id]);
      return row ? fromRow(row) : null;
    },
    launched: (id, run_id) => asked('SELECT ledger_call_launched($1, $2) AS done', [id, run_id]),
    async answer(id, runner, answer) {
      const done = await asked('SELECT ledger_call_answer($1, $2, $3) AS done', [id, runner, text(answer)]);
      if (done) watch.wake();
      return done;
    },
    async remove(id) {
      const [row] = await db.write<CallRow>('SELECT * FROM ledger_call_remove($1)', [id]);
      return row ? fromRow(row) : null;
    },
    changed: (max_ms, signal) => watch.changed(max_ms, signal),
  };
}

function text(value: object): string {
  return JSON.stringify(value);
}

function fromRow({ body, answer, ...row }: CallRow): OpenCall {
  return {
    ...row,
    body: JSON.parse(body) as JsonObject,
    answer: answer === null ? null : (JSON.parse(answer) as JsonObject),
  };
}
