import type { ActionRun, RunEvent } from '../runs/action-run.ts';
import type { IntentRequest, Lease, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { refuseOddEvent } from './events.ts';
import { refuseOddIntent, refuseOtherStep } from './intents.ts';
import { isOwn, type Machine } from './machine.ts';

/** What the server knows of the calls that it handed to runners. */
export interface CallAuthority {
  /**
   * The intent as it is to be stored: who asked, the calls that led to it and the rule are the server's to say. Throws
   * `refused` if that machine was not handed that call, or if the intent is none of that call's. Asked again with the
   * same intent where an answer was lost, it answers the same.
   */
  intentOf(machine: Machine, intent: IntentRequest, call: string): Promise<IntentRequest>;
  /** A step of a workflow that this machine conducts, as it is to be stored. Throws `refused` if the server's rules deny it by now. */
  stepOf(machine: Machine, intent: IntentRequest, parent: ActionRun): Promise<IntentRequest>;
  /** What others are to agree to, as it is to be stored. Throws `refused` if less is asked for than the server's rules say. */
  asked(machine: Machine, run: ActionRun, event: RunEvent): Promise<RunEvent>;
}

/** Nobody has called. */
export const NO_CALLS: CallAuthority = {
  intentOf: () =>
    Promise.reject(new AppError('refused', 'this server has handed no such call to that runner')),
  stepOf: (_machine, intent) => Promise.resolve(intent),
  asked: (_machine, _run, event) => Promise.resolve(event),
};

/** What becomes of what a machine wants to record. */
export interface RunnerAuthority {
  /** As it is stored. */
  intent(machine: Machine, intent: IntentRequest, call: string | null): Promise<IntentRequest>;
  /** About a run whose lease the machine holds; as it is stored. */
  event(machine: Machine, event: RunEvent, about: { run: ActionRun; lease: Lease }): Promise<RunEvent>;
}

export interface AuthorityPorts {
  ledger: Pick<RunLedger, 'find'>;
  leases: Pick<RunLeases, 'list' | 'now'>;
  calls: CallAuthority;
}

/** Runs that the server asked for, and what their supervisor sees of them; nothing about people, rules and approvals. */
export function createRunnerAuthority({ ledger, leases, calls }: AuthorityPorts): RunnerAuthority {
  const holds = async (machine: Machine, run_id: string): Promise<boolean> =>
    (await leases.list()).some((lease) => lease.run_id === run_id && isOwn(machine, lease));
  return {
    async intent(machine, intent, call) {
      refuseOddIntent(intent);
      refuseOtherTime(intent.event.at, await leases.now());
      if (call !== null) return await calls.intentOf(machine, intent, call);
      const parent_id = intent.event.facts['parent'];
      const parent = typeof parent_id === 'string' ? await ledger.find(parent_id) : null;
      if (!parent || !(await holds(machine, parent.id))) {
        throw new AppError('refused', 'only a call of the server, or a workflow of this runner, starts a run');
      }
      refuseOtherStep(parent, intent);
      return await calls.stepOf(machine, intent, parent);
    },
    async event(machine, event, { run, lease }) {
      refuseOddEvent(event, { run, lease });
      if (event.kind === 'run_approval_asked') return await calls.asked(machine, run, event);
      if (event.kind !== 'run_cancel_requested') return event;
      const parent = run.parent === null ? null : await ledger.find(run.parent);
      if (parent && (await holds(machine, parent.id)) && isPassedOn(event, parent)) return event;
      throw new AppError('refused', 'a runner passes on to steps that their workflow is to stop, and nothing else');
    },
  };
} // prettier-ignore

/** A runner's clock may be off by so much; a record that is asked for at another time would be false. */
const SKEW_MS = 5 * 60_000;

function refuseOtherTime(at: number, now: number): void {
  const minutes = Math.round(Math.abs(at - now) / 60_000);
  if (Math.abs(at - now) <= SKEW_MS) return;
  const where = at < now ? 'behind' : 'ahead of';
  throw new AppError(
    'refused',
    `not recorded: the clock of the runner is ${minutes} minutes ${where} the server's`,
    {
      next: 'set the clock of the runner, for example by NTP',
    },
  );
}

/** In the words of whoever cancelled the workflow, or because its time is over. */
function isPassedOn({ private: own }: RunEvent, { cancelled_by, cancel_reason }: ActionRun): boolean {
  const by = own['cancelled_by'] ?? null;
  if (by === null) return true;
  return by === (cancelled_by ?? null) && (own['cancel_reason'] ?? null) === (cancel_reason ?? null);
}
