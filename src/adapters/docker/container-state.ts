import type Docker from 'dockerode';
import { type Readable } from 'node:stream';
import { type Ending } from '../../runs/executor.ts';
import { bounded, statusOf } from './engine-errors.ts';
import { patiently, type Patience } from './patience.ts';

export type State = Docker.ContainerInspectInfo['State'];

/** Pause between questions about a container that `wait` called ended and the engine calls running. */
const DISAGREEMENT_MS = 100;

/** Null: there is no such container any more. Waits for an engine that is away. */
export async function inspect(
  container: Docker.Container,
  patience: Patience,
): Promise<Docker.ContainerInspectInfo | null> {
  try {
    return await patiently(patience, () => container.inspect(bounded()));
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

/** Epoch ms of the engine's time; null for its zero time, year 1. */
export function timeOf(iso: string | undefined): number | null {
  const ms = Date.parse(iso ?? '');
  return Number.isNaN(ms) || ms <= 0 ? null : ms;
}

export function isOver(state: State): boolean {
  return !state.Running && !state.Paused && !state.Restarting && state.Status !== 'created';
}

/** What the engine knows of the end; null or a container half removed means that nobody can know it. */
export function endingOf(state: State | null, now: number): Ending {
  if (state === null || state.Dead || state.Status === 'removing') {
    const error = 'the container was removed by somebody else before its end was read';
    return { exit_code: null, finished_at: timeOf(state?.FinishedAt) ?? now, out_of_memory: false, error };
  }
  // The engine notes the start after the fact, so that a very short run seems to end a little before it.
  const finished_at = Math.max(timeOf(state.FinishedAt) ?? now, timeOf(state.StartedAt) ?? 0);
  return {
    exit_code: state.ExitCode,
    finished_at,
    out_of_memory: state.OOMKilled,
    error: state.Error === '' ? null : state.Error,
  };
}

/**
 * Resolves when the container is over. `waiting` is a `wait` that was asked for after the start (before it, it
 * answers a false success); it only wakes us, the container's own state is the truth, also after an outage.
 */
export async function untilOver(
  container: Docker.Container,
  waiting: Promise<unknown>,
  patience: Patience,
): Promise<Ending> {
  for (let wake = waiting; ; wake = askToWait(container)) {
    await wake;
    const facts = await inspect(container, patience);
    if (facts === null || isOver(facts.State)) return endingOf(facts?.State ?? null, patience.clock.now());
    await patience.clock.sleep(DISAGREEMENT_MS);
  }
}

/**
 * Resolves when the container ends: true if the engine said so, false if the connection broke. Read as a stream,
 * because the engine sends the head of this answer at once, and the client would wait for ever for a body that a
 * broken connection cut off.
 */
export function askToWait(container: Docker.Container): Promise<boolean> {
  const path = `/containers/${container.id}/wait?`;
  const request = { path, method: 'POST', isStream: true, statusCodes: { 200: true } };
  return new Promise((resolve) => {
    const modem = container.modem as Modem;
    modem.dial(request, (error, body) => {
      if (error !== null || body === undefined) return resolve(false);
      let bytes = 0;
      body.on('data', (chunk: Uint8Array) => (bytes += chunk.length));
      body.on('end', () => resolve(bytes > 0));
      body.on('error', () => resolve(false));
      body.on('close', () => resolve(false));
    });
  });
}

interface Modem {
  dial(options: object, done: (error: unknown, body?: Readable) => void): void;
}
