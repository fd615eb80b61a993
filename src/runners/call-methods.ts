import { sees } from '../access/identity.ts';
import { AppError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { CallBody, RulesInForce } from './call.ts';
import { POLL_MS } from './choose.ts';
import type { OpenCall, RunnerExchange } from './exchange.ts';
import { holderOf } from './machine.ts';
import type { Methods } from './service.ts';

export interface CallPorts {
  exchange: RunnerExchange;
  /** What decides now. */
  rules(): Promise<RulesInForce>;
  /** Null: this server takes runners; else why it does not. */
  closed: string | null;
}

type Verb = 'enter' | 'rules' | 'next' | 'answer' | 'leave';

/** How runners are there, get calls, and answer them. */
export function callMethods({ exchange, rules, closed }: CallPorts): Pick<Methods, `calls/${Verb}`> {
  /** The newest poll of each runner: that an older one broke says nothing any more. */
  const polls = new Map<string, string>();
  return {
    async 'calls/enter'(machine, { runner }) {
      if (closed !== null) throw new AppError('refused', closed);
      const workspaces = runner.workspaces.filter(({ organization, name }) =>
        sees(machine.identity.scope, { organization, workspace: name }),
      );
      if (await exchange.enter({ ...runner, workspaces, key: holderOf(machine) })) return await rules();
      throw new AppError('refused', `the name ${runner.name} belongs to another runner, with another key or data folder`, {
        next: 'give this runner another name with --runner-name, or end the other one',
      });
    },
    'calls/rules': () => rules(),
    async 'calls/next'(machine, { name, taker }, signal) {
      const key = holderOf(machine);
      if (!(await exchange.touch(name, key))) return { known: false, calls: [], rules: await rules() };
      polls.set(key, taker);
      const calls = await nextCalls(exchange, { name, taker }, signal);
      if (signal.aborted) {
        await exchange.giveBack(taker);
        if (polls.get(key) === taker) await exchange.leave(name, key, 'broken');
        return { known: true, calls: [], rules: await rules() };
      }
      await exchange.touch(name, key);
      return { known: true, calls: calls.map(({ id, body }) => ({ id, sent: sentOf(body) })), rules: await rules() };
    },
    async 'calls/answer'(machine, { name, call, answer }) {
      const runner = (await exchange.runners()).find((one) => one.name === name);
      if (runner?.key !== holderOf(machine)) throw new AppError('refused', `${name} is no runner of this key`);
      return await exchange.answer(call, name, answer as JsonObject);
    },
    async 'calls/leave'(machine, { name }) {
      await exchange.leave(name, holderOf(machine), 'ended');
      return null;
    },
  };
} // prettier-ignore

function sentOf(body: JsonObject): CallBody['sent'] {
  return (body as unknown as CallBody).sent;
}

/** Those that wait, or the first one that comes within the time of a poll. */
async function nextCalls(
  exchange: RunnerExchange,
  { name, taker }: { name: string; taker: string },
  signal: AbortSignal,
): Promise<OpenCall[]> {
  const until = performance.now() + POLL_MS;
  for (;;) {
    const enough = new AbortController();
    const left = until - performance.now();
    const woken = exchange.changed(Math.max(0, left), AbortSignal.any([signal, enough.signal]));
    const calls = await exchange.take(name, taker);
    if (calls.length > 0 || left <= 0 || signal.aborted) {
      enough.abort();
      return calls;
    }
    await woken;
  }
}
