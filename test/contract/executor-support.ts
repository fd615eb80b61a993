import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { type Clock, type Log } from '../../src/shared/ports.ts';
import { type LaunchSpec, type OutputSink, type Stream } from '../../src/runs/executor.ts';

export const clock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { ref: true, ...(signal && { signal }) }).catch(() => undefined);
  },
};

export const quiet: Log = () => undefined;

/** A sink that remembers everything; `until` resolves once standard output contains a text. */
export interface Collected extends OutputSink {
  bytes(stream: Stream): Buffer;
  text(stream: Stream): string;
  until(text: string): Promise<void>;
}

export function collect(pacing: { write(): boolean; drain(): Promise<void> } = free): Collected {
  const chunks: Record<Stream, Uint8Array[]> = { stdout: [], stderr: [] };
  const waiting: { text: string; resolve: () => void }[] = [];
  const bytes = (stream: Stream): Buffer => Buffer.concat(chunks[stream]);
  return {
    bytes,
    text: (stream) => bytes(stream).toString('utf8'),
    write: (stream, chunk) => {
      chunks[stream].push(chunk);
      if (waiting.length > 0) {
        const seen = bytes('stdout').toString('utf8');
        for (const waiter of waiting) if (seen.includes(waiter.text)) waiter.resolve();
      }
      return pacing.write();
    },
    drain: () => pacing.drain(),
    until: (text) =>
      new Promise((resolve) => {
        if (bytes('stdout').toString('utf8').includes(text)) resolve();
        else waiting.push({ text, resolve });
      }),
  };
}

const free = { write: () => true, drain: async () => undefined };

/** Asks for a pause of a few milliseconds after every chunk. */
export const slow = { write: () => false, drain: async () => void (await delay(2)) };

/** Has no room until it is opened. */
export function gated(): { write(): boolean; drain(): Promise<void>; open(): void } {
  let open = (): void => undefined;
  let isOpen = false;
  const opened = new Promise<void>((resolve) => {
    open = () => {
      isOpen = true;
      resolve();
    };
  });
  return { write: () => isOpen, drain: () => opened, open: () => open() };
}

export function launchSpec(overrides: Partial<LaunchSpec> & Pick<LaunchSpec, 'workdir'>): LaunchSpec {
  return {
    run_id: randomUUID(),
    image: null,
    image_digest: null,
    command: ['true'],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    mounts: [],
    extra_hosts: [],
    labels: {},
    limits: { memory_bytes: null, cpus: null, pids: null, engine_log_bytes: 200_000_000 },
    timeout_ms: null,
    ...overrides,
  };
}
