import type { Principal } from '../access/identity.ts';

/** Whether who asked for something may still have it: keys can be taken back while a run waits. */
export interface Requesters {
  /** Why not, in words; null: nothing is known that speaks against it. What is known may be so old. */
  refusal(principal: Principal, max_age_ms: number): Promise<string | null>;
}
