import type { LedgerWatch } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { callMethods, type CallPorts } from './call-methods.ts';
import { leaseMethods, type LeasePorts } from './lease-methods.ts';
import { ledgerMethods, type LedgerPorts } from './ledger-methods.ts';
import { logMethods, type LogPorts } from './log-methods.ts';
import type { Machine } from './machine.ts';
import { isMethod, METHODS, type ArgumentsOf, type Method, type Results } from './protocol.ts';
import { createRunnerWatch } from './watch.ts';

export type Methods = {
  [M in Method]: (machine: Machine, args: ArgumentsOf<M>, signal: AbortSignal) => Promise<Results[M]>;
};

export interface RunnerServicePorts extends LeasePorts, LedgerPorts, LogPorts, CallPorts {
  ledger: LedgerPorts['ledger'];
  leases: LeasePorts['leases'];
  watch: LedgerWatch;
  clock: Pick<Clock, 'now'>;
}

/** What a server answers its runners: the records, as far as that machine may read and write them. */
export interface RunnerService {
  /** Null: there is no such method. Throws AppErrors; `signal` ends a wait. */
  call(machine: Machine, asked: { method: string; body: unknown; signal: AbortSignal }): Promise<{ value: unknown } | null>;
  /** Ends all waits. */
  close(): void;
} // prettier-ignore

export function createRunnerService(ports: RunnerServicePorts): RunnerService {
  const watch = createRunnerWatch(ports.watch, ports.clock);
  const closing = new AbortController();
  const methods: Methods = {
    ...ledgerMethods(ports),
    ...leaseMethods(ports),
    ...logMethods(ports),
    ...callMethods(ports),
    watch: async (_machine, { since, max_ms }, signal) => ({ since: await watch.changed({ since, max_ms, signal }) }),
  };
  const answer = async <M extends Method>(method: M, machine: Machine, asked: { body: unknown; signal: AbortSignal }) => {
    const read = METHODS[method].safeParse(asked.body);
    if (read.success) return await methods[method](machine, read.data as ArgumentsOf<M>, AbortSignal.any([asked.signal, closing.signal]));
    const [issue] = read.error.issues;
    throw new AppError('invalid_argument', `${method}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not readable'}`);
  };
  return {
    async call(machine, { method, ...asked }) {
      return isMethod(method) ? { value: await answer(method, machine, asked) } : null;
    },
    close() {
      closing.abort();
      watch.close();
    },
  };
} // prettier-ignore
