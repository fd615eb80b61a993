import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

export interface RateLimit {
  /** Null: go on. Otherwise the seconds after which another attempt makes sense. */
  take(key: string): Promise<number | null>;
}

const MINUTE_S = 60;

/** Requests of one principal in a minute; null: any number. */
export function createRateLimit(per_minute: number | null): RateLimit {
  if (per_minute === null) return { take: async () => null };
  const limiter = new RateLimiterMemory({ points: per_minute, duration: MINUTE_S });
  return {
    async take(key) {
      try {
        await limiter.consume(key);
        return null;
      } catch (refused) {
        return Math.max(1, Math.ceil((refused as RateLimiterRes).msBeforeNext / 1000));
      }
    },
  };
}
