import { Worker } from 'node:worker_threads';
import { AppError, errorFrom, type PlainError } from '../../shared/errors.ts';

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

export interface Answer {
  id: number;
  value?: unknown;
  error?: PlainError;
}

/** What a thread tells without being asked: another process wrote, or how far a long call has come. */
export type Post = { changed: true } | { id: number; progress: unknown };

/** A thread that answers calls in their order. */
export interface Rpc {
  /** Starts the thread, so that its first call need not wait for that. */
  start(): void;
  call<T>(method: string, ...args: unknown[]): Promise<T>;
  /** A call that reports while it works. */
  follow<T>(method: string, args: unknown[], onProgress: (progress: never) => void): Promise<T>;
  /** Calls without an answer. */
  waiting(): number;
  close(): Promise<void>;
}

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
  onProgress: ((progress: never) => void) | null;
}

/** Started by its first call, if not before; does not keep the process alive while nobody waits for an answer. */
export function createRpc(script: URL, home: string, onChanged: () => void): Rpc {
  let worker: Worker | null = null;
  let last = 0;
  const waiting = new Map<number, Waiting>();

  const started = (): Worker => {
    const thread = new Worker(script, { workerData: { home } });
    thread.on('message', (message: Answer | Post) => {
      if ('changed' in message) onChanged();
      else if ('progress' in message) waiting.get(message.id)?.onProgress?.(message.progress as never);
      else settle(message);
    });
    thread.on('error', (error) => {
      worker = null;
      const failure = new AppError('ledger_unavailable', `the ledger's thread ended: ${error.message}`);
      for (const { reject } of waiting.values()) reject(failure);
      waiting.clear();
    });
    thread.unref();
    return thread;
  };

  const settle = ({ id, value, error }: Answer): void => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker?.unref();
    if (!call) return;
    if (error) call.reject(errorFrom(error));
    else call.resolve(value as never);
  };

  const ask = <T>(call: Omit<Call, 'id'>, onProgress: Waiting['onProgress']): Promise<T> => {
    worker ??= started();
    worker.ref();
    const id = ++last;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject, onProgress });
      worker!.postMessage({ id, ...call } satisfies Call);
    });
  };

  return {
    start: () => void (worker ??= started()),
    call: (method, ...args) => ask({ method, args }, null),
    follow: (method, args, onProgress) => ask({ method, args }, onProgress),
    waiting: () => waiting.size,
    async close() {
      if (!worker) return;
      await this.call('close').catch(() => undefined);
      await worker.terminate();
      worker = null;
    },
  };
}
