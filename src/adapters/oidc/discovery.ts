import type { z } from 'zod';
import type { Fetch } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';

/** An issuer has so long for an answer. */
export const ANSWER_MS = 5_000;

export interface IssuerAddress {
  issuer: string;
  fetch: Fetch;
}

/** What the issuer says of itself. Throws where it is away, or answers otherwise. */
export async function discover<T extends { issuer: string }>({ issuer, fetch }: IssuerAddress, shape: z.ZodType<T>): Promise<T> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(address, { signal: timeLimit(ANSWER_MS), redirect: 'error' });
  if (!response.ok) throw new Error(`the issuer answered ${response.status}`);
  const found = shape.parse(await response.json());
  // A document of somebody else's would bring keys and addresses of somebody else's.
  if (found.issuer !== issuer) throw new Error('the discovery document is that of another issuer');
  return found;
} // prettier-ignore

export class IssuerAway extends Error {}

/** The same fetch, whose failures are told from all others. */
export function orAway(fetch: Fetch): Fetch {
  return (url, init) =>
    fetch(url, init).catch((cause: unknown) => {
      throw new IssuerAway('the issuer cannot be reached', { cause });
    });
}
