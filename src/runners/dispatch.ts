import { keyOf, type Scope } from '../access/identity.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import type { CallEntry } from '../runs/trail.ts';
import { AppError, errorFrom } from '../shared/errors.ts';
import { canonicalJson, sha256, type JsonObject } from '../shared/json.ts';
import type { Clock, Ids, ProcessTable } from '../shared/ports.ts';
import type { RunMode } from '../actions/policy.ts';
import { readAnswer, type CallAnswer, type CallBody, type RulesInForce, type SentCall } from './call.ts';
import { chooseRunner, isAway, runnersWithin, type Chosen, type Wanted } from './choose.ts';
import type { KnownRunner, OpenCall, RunnerExchange } from './exchange.ts';

/** Planning reads many files, and asks an engine; a run itself is waited for elsewhere. */
const CALL_MS = 120_000;
/** How often it is looked whether the runner is still there. */
const LOOK_MS = 2_000;
/** How long an intent that is on its way may take to be stored. */
const SETTLE_MS = 5_000;

export interface RunnersPorts {
  exchange: RunnerExchange;
  ledger: Pick<RunLedger, 'find'>;
  processes: Pick<ProcessTable, 'self'>;
  ids: Ids;
  clock: Clock;
}

/** A question to one runner, in place of what a server with workspaces would do itself. */
export interface RunnerQuestion extends SentCall {
  entry: CallEntry;
}

export type Answered = Exclude<CallAnswer, { error: unknown }>;

/** The runners of a server that executes nothing itself. */
export interface Runners {
  /** As the scope may know them, by name. */
  known(scope: Scope): Promise<KnownRunner[]>;
  /** Throws `no_runner`, `unknown_name`, or `ambiguous_name` with the candidates. */
  choose(wanted: Wanted, scope: Scope): Promise<Chosen>;
  /** Has a runner answer. Throws what the runner threw; a run that it started is told also where its answer was lost. */
  ask(chosen: Pick<Chosen, 'runner'> & Partial<Chosen>, question: RunnerQuestion): Promise<Answered>;
}

export function createRunners(ports: RunnersPorts): Runners {
  const { exchange, clock } = ports;
  const known = async (scope: Scope): Promise<KnownRunner[]> =>
    runnersWithin(await exchange.runners(), scope);
  return {
    known,
    choose: async (wanted, scope) => chooseRunner(await known(scope), wanted, clock.now()),
    async ask({ runner, workspace }, question) {
      const { entry, ...sent } = question;
      const id = ports.ids.next();
      const target = workspace ? { organization: workspace.organization, workspace: workspace.name } : null;
      const body: CallBody = {
        sent: { ...sent },
        kept: {
          origin: entry.origin,
          target,
          aliases: workspace?.aliases ?? [],
          sameness: samenessOf(question),
          teller: ports.processes.self(),
        },
      };
      await exchange.put({ id, runner: runner.name, body: body as unknown as JsonObject, valid_ms: CALL_MS });
      await answerOrLoss(ports, id, runner.name);
      const ended = await exchange.remove(id);
      const run = ended?.run_id ? await launchedRun(ports, ended) : null;
      if (run) entry.recorded();
      return read(ended, runner.name, run);
    },
  };
}

/** What makes two calls the same one, as long as nobody gave them a key: who asked for what. */
export function samenessOf({ caller, tool, input }: Pick<RunnerQuestion, 'caller' | 'tool' | 'input'>): string {
  const { wait_seconds: _, ...asked } = input;
  return sha256(canonicalJson([keyOf(caller.principal), tool, asked]));
} // prettier-ignore

/** Resolves when the call is answered, too old, or its runner is not there any more. */
async function answerOrLoss({ exchange, clock }: RunnersPorts, id: string, runner: string): Promise<void> {
  let looked = clock.now();
  for (;;) {
    const enough = new AbortController();
    const woken = exchange.changed(LOOK_MS, enough.signal);
    const call = await exchange.find(id);
    if (!call || call.answer) {
      enough.abort();
      return;
    }
    await woken;
    if (clock.now() - looked < LOOK_MS) continue;
    looked = clock.now();
    const there = (await exchange.runners()).find(({ name }) => name === runner);
    if (!there || isAway(there)) return;
  }
}

/** The run of a call, if it was stored or is being stored right now. */
async function launchedRun({ ledger, clock }: RunnersPorts, { run_id, answer }: OpenCall): Promise<ActionRun | null> {
  const began = clock.now();
  for (;;) {
    const run = await ledger.find(run_id!);
    if (run || answer !== null || clock.now() - began > SETTLE_MS) return run;
    await clock.sleep(100);
  }
} // prettier-ignore

function read(ended: OpenCall | null, runner: string, run: ActionRun | null): Answered {
  const answer = ended?.answer ? readAnswer(ended.answer) : null;
  if (answer && 'error' in answer) throw errorFrom(answer.error);
  if (answer) return answer;
  // Its answer was lost, or is none; the record knows better.
  if (run) return { started: { outcome: 'started', run_id: run.id, age_ms: 0, drift: [] } };
  if (ended?.answer)
    throw new AppError('internal', `runner ${runner} answered what this server does not understand`);
  if (ended?.run_id) throw unsure(runner, ended.run_id);
  throw new AppError('no_runner', `runner ${runner} went away before it answered; nothing was started`, {
    next: 'call again when it is back; get_status shows it',
  });
}

function unsure(runner: string, run_id: string): AppError {
  const said = `runner ${runner} went away while run ${run_id} was being recorded, so it may still start`;
  const next = `wait_for_action_run with run_id ${run_id}; if there is no such run by then, nothing was started`;
  return new AppError('no_runner', said, { next, details: { run_id } });
}

/** What holds now, for the runner that plans and for the server that decides again. */
export async function rulesInForce(policy: PolicyPorts, mode: RunMode): Promise<RulesInForce> {
  return { mode, policy: policy.policies && (await policy.policies.current()), zone: policy.zone() };
}
