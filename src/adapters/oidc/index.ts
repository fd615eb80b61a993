import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { ROLES, type AskerRole, type Identity } from '../../access/identity.ts';
import type { Authenticator, Refused } from '../../access/authenticate.ts';
import { codeOf } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import { ANSWER_MS, discover, IssuerAway, orAway, type IssuerAddress } from './discovery.ts';

export interface OidcOptions extends IssuerAddress {
  /** What tokens for this server name as their audience. */
  audience: string;
  /** Scopes of tokens that stand for roles. */
  scopes: Readonly<Record<AskerRole, string>>;
}

/** Clocks of issuer and server may differ by so much. */
const TOLERANCE_S = 30;
/** Asymmetric ones only: a shared secret would let every client that knows it sign. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** The claim that narrows what a token sees: `organization` or `organization/workspace`, a list. Absent: everything. */
const PLACES_CLAIM = 'polycrate_workspaces';

const DISCOVERY = z.object({ issuer: z.string(), jwks_uri: z.url() });

/**
 * Access tokens (JWT) of an OpenID Connect issuer: signature, issuer, audience and times are checked. The issuer's
 * keys are found by discovery when first needed, and kept.
 */
export function createOidcAuthenticator(options: OidcOptions): Authenticator {
  let keys: Promise<JWTVerifyGetKey> | null = null;
  const known = (): Promise<JWTVerifyGetKey> => {
    keys ??= keysOf(options);
    keys.catch(() => (keys = null));
    return keys;
  };
  return {
    async authenticate(token) {
      // Three parts: anything else is no JWT, and not worth a question to the issuer.
      if (token.split('.').length !== 3) return null;
      const { jwtVerify } = await import('jose');
      let get: JWTVerifyGetKey;
      try {
        get = await known();
      } catch {
        return { refused: 'unreachable' };
      }
      try {
        const { payload } = await jwtVerify(token, get, {
          issuer: options.issuer,
          audience: options.audience,
          algorithms: ALGORITHMS,
          clockTolerance: TOLERANCE_S,
          requiredClaims: ['sub', 'exp'],
        });
        return { identity: identityOf(payload, options), expires_at: (payload.exp! + TOLERANCE_S) * 1000 };
      } catch (error) {
        return { refused: refusalOf(error) };
      }
    },
  };
}

async function keysOf(options: OidcOptions): Promise<JWTVerifyGetKey> {
  const { createRemoteJWKSet, customFetch } = await import('jose');
  const { jwks_uri } = await discover(options, DISCOVERY);
  const asked = orAway(options.fetch);
  return createRemoteJWKSet(new URL(jwks_uri), { timeoutDuration: ANSWER_MS, [customFetch]: asked });
}

function identityOf(payload: JWTPayload, { issuer, scopes }: OidcOptions): Identity {
  const text = (name: string): string | null => {
    const value = payload[name];
    return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 200) : null;
  };
  const granted = new Set(grantedOf(payload));
  const places = payload[PLACES_CLAIM];
  return {
    principal: {
      kind: 'oidc',
      issuer,
      subject: payload.sub!,
      display: text('preferred_username') ?? text('email') ?? text('name') ?? payload.sub!,
    },
    roles: ROLES.filter((role) => granted.has(scopes[role])),
    scope: places === undefined ? null : Array.isArray(places) ? places.map(String) : [],
  };
}

/** `scope` of RFC 8693, one text; some issuers call it `scp`, some write a list. */
function grantedOf(payload: JWTPayload): string[] {
  return [payload['scope'], payload['scp']].flatMap((value) => {
    if (typeof value === 'string') return value.split(' ');
    return Array.isArray(value) ? value.map(String) : [];
  });
}

function refusalOf(error: unknown): Refused['refused'] {
  if (error instanceof IssuerAway) return 'unreachable';
  switch (codeOf(error)) {
    case 'ERR_JWT_EXPIRED':
      return 'expired';
    // Of the answer with the keys, not of the token.
    case 'ERR_JWKS_TIMEOUT':
    case 'ERR_JWKS_INVALID':
    case 'ERR_JOSE_GENERIC':
      return 'unreachable';
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return isObject(error) && (error as { claim?: unknown }).claim === 'aud' ? 'wrong_audience' : 'unknown';
    default:
      return 'unknown';
  }
}
