import type { Identity } from './identity.ts';

/** Why a token was not accepted, in words that give nothing away. */
export type Refused = { refused: 'unknown' | 'expired' | 'revoked' | 'wrong_audience' | 'unreachable' };

/** Tells who a bearer token belongs to; null: it is not of this kind, somebody else may know it. */
export interface Authenticator {
  authenticate(token: string): Promise<Authenticated | Refused | null>;
}

export interface Authenticated {
  identity: Identity;
  /** Epoch milliseconds; null: it has no end of its own. */
  expires_at: number | null;
}

/** The first one that knows the kind of the token decides. */
export function firstOf(authenticators: readonly Authenticator[]): Authenticator {
  return {
    async authenticate(token) {
      for (const authenticator of authenticators) {
        const answer = await authenticator.authenticate(token);
        if (answer) return answer;
      }
      return null;
    },
  };
}
