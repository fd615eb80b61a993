import type { Clock } from './ports.ts';

/** An answer that may be a little old: asked at most once in `fresh_ms`, and concurrent callers share one question. */
export function recent<T>(ask: () => Promise<T>, fresh_ms: number, clock: Clock): () => Promise<T> {
  let asked = 0;
  let answer: Promise<T> | null = null;
  return () => {
    if (answer && clock.now() - asked < fresh_ms) return answer;
    asked = clock.now();
    answer = ask();
    // A failure is no answer: the next caller asks again.
    answer.catch(() => (answer = null));
    return answer;
  };
}
