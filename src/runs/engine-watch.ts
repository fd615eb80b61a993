import type { Clock } from '../shared/ports.ts';
import type { EngineStatus, Executor } from './executor.ts';

const FRESH_MS = 5_000;

/** The engine's status, asked at most every few seconds; concurrent callers share one question. */
export function createEngineWatch(executor: Executor, clock: Clock): () => Promise<EngineStatus> {
  let asked = 0;
  let status: Promise<EngineStatus> | null = null;
  return () => {
    if (status && clock.now() - asked < FRESH_MS) return status;
    asked = clock.now();
    return (status = executor.status());
  };
}
