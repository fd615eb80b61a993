import type { Outbox, OutboxStanding, Submission, SubmissionStep } from '../runs/outbox.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import type { RunLogs } from '../runs/run-log.ts';
import { messageOf } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { Clock, Log, ProcessTable } from '../shared/ports.ts';
import { ApiError } from './api-error.ts';
import { afterFailure } from './attempt.ts';
import { deliver, nextStep, SETTLE_MS, submittedEvent, type Step } from './deliver.ts';
import { createHealth, type EndpointHealth, type Health } from './endpoint-health.ts';
import type { ApiDirectory, ApiEndpoint } from './endpoints.ts';
import { reportedBlock } from './report.ts';

export interface SubmitPorts {
  outbox: Outbox;
  ledger: Pick<RunLedger, 'find'>;
  logs: Pick<RunLogs, 'read'>;
  apis: Pick<ApiDirectory, 'setup' | 'open'>;
  checkpoint(): Promise<JsonObject | null>;
  processes: ProcessTable;
  clock: Clock;
  log: Log;
  /** Below 1. */
  random(): number;
  /** Only tests wait for less. */
  settle_ms?: number;
}

export interface SubmissionStanding extends OutboxStanding {
  /** What is wrong with the configuration. */
  problems: readonly string[];
  endpoints: (Pick<ApiEndpoint, 'name' | 'url' | 'submit'> & Health)[];
}

export interface Submitter {
  /** Delivers in the background from now on. */
  run(): void;
  isRunning(): boolean;
  /** Something may be due: a run went on. */
  nudge(): void;
  /** Delivers until nothing is due, for so long at the most. True: nothing is left that can be delivered now. */
  drain(within_ms: number): Promise<boolean>;
  standing(): Promise<SubmissionStanding>;
  /** Lets what is under way end, for a moment. */
  stop(): Promise<void>;
}

/** Longer than all requests of one step may take together. */
const LEASE_MS = 180_000;
const AT_ONCE = 4;
const PAGE = 64;
const LOOK_MS = 2_000;
/** What is due so soon is waited for. */
const SOON_MS = 3_000;
const LAST_WORDS_MS = 2_000;

/** Takes reports out of the outbox and to their API, each by one process at a time, for as long as it takes. */
export function createSubmitter(ports: SubmitPorts): Submitter {
  const { outbox, clock } = ports;
  const health = new Map<string, EndpointHealth>();
  const healthOf = (name: string): EndpointHealth =>
    health.get(name) ?? health.set(name, createHealth()).get(name)!;
  const stopping = new AbortController();
  const inFlight = new Map<string, Promise<unknown>>();
  let waking = new AbortController();
  let loop: Promise<void> | null = null;

  /** One look at what is due. Answers how many steps were made. */
  const pass = async (): Promise<number> => {
    const now = clock.now();
    const { endpoints } = await ports.apis.setup();
    const ready = endpoints.filter(({ name }) => !healthOf(name).paused(now));
    if (ready.length === 0) return 0;
    const due = await outbox.due(
      now,
      PAGE,
      ready.map(({ name }) => name),
    );
    const queue = due.filter((submission) => !inFlight.has(submission.run_id) && isFree(ports, submission));
    let made = 0;
    const work = async (endpoint: ApiEndpoint, mine: Submission[]): Promise<void> => {
      for (let next = mine.shift(); next; next = mine.shift()) {
        if (stopping.signal.aborted || healthOf(endpoint.name).paused(clock.now())) return;
        const { run_id } = next;
        const step = attempt(ports, next, {
          endpoint,
          health: healthOf(endpoint.name),
          signal: stopping.signal,
        });
        inFlight.set(run_id, step);
        if (await step.finally(() => inFlight.delete(run_id))) made += 1;
      }
    };
    await Promise.all(
      ready.flatMap((endpoint) => {
        const mine = queue.filter((submission) => submission.endpoint === endpoint.name);
        const workers = healthOf(endpoint.name).atOnce(AT_ONCE);
        return Array.from({ length: Math.min(workers, mine.length) }, () => work(endpoint, mine));
      }),
    );
    return made;
  };

  const follow = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const made = await pass().catch((error: unknown) => {
        ports.log('warn', 'reports could not be looked at', { error: messageOf(error) });
        return 0;
      });
      if (made > 0) continue;
      await clock.sleep(LOOK_MS, AbortSignal.any([waking.signal, stopping.signal]));
      waking = new AbortController();
    }
  };

  return {
    run: () => void (loop ??= follow()),
    isRunning: () => loop !== null,
    nudge: () => waking.abort(),
    drain(within_ms) {
      const over = new AbortController();
      const emptied = async (): Promise<boolean> => {
        while (!over.signal.aborted && !stopping.signal.aborted) {
          if ((await pass()) > 0) continue;
          const { endpoints } = await ports.apis.setup();
          const names = endpoints
            .map(({ name }) => name)
            .filter((name) => healthOf(name).down_since === null);
          const soon = clock.now() + SOON_MS;
          if (names.length === 0 || (await outbox.due(soon, 1, names)).length === 0) return true;
          await clock.sleep(100, over.signal);
        }
        return false;
      };
      const late = clock.sleep(within_ms, over.signal).then(() => false);
      return Promise.race([emptied(), late]).finally(() => over.abort());
    },
    async standing() {
      const [counts, { endpoints, problems }] = await Promise.all([outbox.standing(), ports.apis.setup()]);
      return {
        ...counts,
        problems,
        endpoints: endpoints.map(({ name, url, submit }) => {
          const { last_ok_at, down_since, problem } = healthOf(name);
          return { name, url, submit, last_ok_at, down_since, problem };
        }),
      };
    },
    async stop() {
      waking.abort();
      const ended = Promise.allSettled([...inFlight.values()]);
      await Promise.race([ended, clock.sleep(LAST_WORDS_MS)]);
      stopping.abort();
      await Promise.all([ended, loop]);
    },
  };
}

/** Held by nobody, by a dead process, or for longer than any step may take; and nothing of it is under way any more. */
function isFree(
  { processes, clock, settle_ms = SETTLE_MS }: SubmitPorts,
  { owner, lease_until, unsure }: Submission,
): boolean {
  if (owner === null) return true;
  const now = clock.now();
  if (lease_until >= now && processes.state(owner) !== 'dead') return false;
  return unsure === null || now >= lease_until - LEASE_MS + settle_ms;
}

interface Place {
  endpoint: ApiEndpoint;
  health: EndpointHealth;
  signal: AbortSignal;
}

/** One step of one report, whatever comes. True: it was made, so that the next may follow at once. */
async function attempt(ports: SubmitPorts, seen: Submission, place: Place): Promise<boolean> {
  try {
    return await step(ports, seen, place);
  } catch (error) {
    // The ledger is away: what was sent is noted as unsure, and will be looked for.
    ports.log('warn', 'a report could not be noted', { run: seen.run_id, error: messageOf(error) });
    return false;
  }
}

async function step(
  ports: SubmitPorts,
  seen: Submission,
  { endpoint, health, signal }: Place,
): Promise<boolean> {
  const { outbox, clock, processes } = ports;
  const [run, api] = await Promise.all([ports.ledger.find(seen.run_id), ports.apis.open(endpoint.name)]);
  if (!api) return false;
  const place = run && reportedBlock(run);
  const planned = run && nextStep(seen, run);
  const before = seen.unsure;
  const now = clock.now();
  const taken = await outbox.take(seen, {
    owner: processes.self(),
    lease_until: now + LEASE_MS,
    unsure: planned ? { step: planned, at: before?.at ?? now } : before,
  });
  if (!taken) return false;
  if (!run || !place) return await outbox.settle(taken, null, null);
  let sent: SubmissionStep | null = null;
  let done: Step;
  try {
    done = await deliver(
      { ...ports, api, on_remote_conflict: endpoint.on_remote_conflict, signal, sending: (what) => (sent = what) },
      taken,
      { run, place, before },
    );
  } catch (error) {
    await noteFailure(ports, { taken, before, sent, error, health, stopped: signal.aborted });
    return false;
  }
  health.ok(clock.now());
  const event = done.api && submittedEvent(run.id, clock.now(), done.api);
  return await outbox.settle(taken, done.next, event);
} // prettier-ignore

interface Failure {
  taken: Submission;
  before: Submission['unsure'];
  sent: SubmissionStep | null;
  error: unknown;
  health: EndpointHealth;
  stopped: boolean;
}

async function noteFailure(
  ports: SubmitPorts,
  { taken, before, sent, error, health, stopped }: Failure,
): Promise<void> {
  const { outbox, clock, log } = ports;
  const now = clock.now();
  const [random, settle_ms] = [ports.random(), ports.settle_ms ?? SETTLE_MS];
  const next = afterFailure({ submission: taken, before, sent, error, now, random, settle_ms });
  // Our own end is no failure of the API.
  if (stopped) Object.assign(next, { attempts: taken.attempts, problem: taken.problem });
  else if (error instanceof ApiError) {
    const { fault, message: says, retry_after_ms } = error;
    if (error.passing || fault === 'credentials' || fault === 'forbidden')
      health.failed({ fault, says, now, random, retry_after_ms });
    else health.ok(now);
  }
  const dead = next.phase === 'dead';
  const { endpoint, remote, conflict } = taken;
  const api = {
    endpoint,
    action_run_id: remote?.id ?? null,
    url: remote?.url ?? null,
    submission: 'failed' as const,
    conflict,
  };
  await outbox.settle(taken, next, dead ? submittedEvent(taken.run_id, now, api) : null);
  log(dead ? 'error' : 'warn', dead ? 'a run cannot be reported' : 'a run could not be reported yet', {
    run: taken.run_id,
    error: messageOf(error),
  });
}
