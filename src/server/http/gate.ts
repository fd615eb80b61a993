import { ROLES, SCOPES, type Identity } from '../../access/identity.ts';
import type { Authenticated, Authenticator, Refused } from '../../access/authenticate.ts';
import type { AuthInfo } from '@modelcontextprotocol/server';
import { IDENTITY } from '../caller.ts';
import type { Problem } from './answers.ts';

export interface GateParts {
  /** Null: on loopback and switched off; everybody is `fallback`. */
  authenticator: Authenticator | null;
  fallback: Identity;
  /** Address of the document that tells clients where tokens come from. */
  metadataUrl: string;
  now: () => number;
}

export type Passed = { identity: Identity; auth: AuthInfo | undefined };

/** Lets a request in with the identity that its token proves, or says how to get one. */
export async function authenticate(
  parts: GateParts,
  authorization: string | undefined,
): Promise<Passed | { problem: Problem }> {
  if (!parts.authenticator) return { identity: parts.fallback, auth: undefined };
  const token = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) {
    return { problem: challenge(parts, authorization === undefined ? null : 'invalid_request') };
  }
  const answer = await parts.authenticator.authenticate(token);
  if (!answer || 'refused' in answer) return { problem: refusal(parts, answer) };
  if (answer.expires_at !== null && answer.expires_at <= parts.now()) {
    return { problem: refusal(parts, { refused: 'expired' }) };
  }
  if (answer.identity.roles.length === 0) return { problem: tooLittle(parts) };
  return { identity: answer.identity, auth: authInfo(parts, answer) };
}

function authInfo({ metadataUrl }: GateParts, { identity, expires_at }: Authenticated): AuthInfo {
  return {
    // The token itself goes no further than here.
    token: '',
    clientId: identity.principal.subject,
    scopes: ROLES.filter((role) => identity.roles.includes(role)).map((role) => SCOPES[role]),
    ...(expires_at !== null && { expiresAt: Math.floor(expires_at / 1000) }),
    resourceMetadataUrl: metadataUrl,
    extra: { [IDENTITY]: identity },
  };
}

const SAYS: Record<Refused['refused'], string> = {
  unknown: 'the token is not known here',
  expired: 'the token has expired',
  revoked: 'the token was revoked',
  wrong_audience: 'the token was not issued for this server',
  unreachable: 'the issuer of the token cannot be reached to check it',
};

function refusal(parts: GateParts, answer: Refused | null): Problem {
  const why = answer?.refused ?? 'unknown';
  if (why === 'unreachable') return { status: 503, says: SAYS[why], headers: { 'Retry-After': '5' } };
  return challenge(parts, 'invalid_token', SAYS[why]);
}

/** A token that was meant for us, but not for anything that we do. */
function tooLittle({ metadataUrl }: GateParts): Problem {
  const header = `Bearer error="insufficient_scope", scope="${SCOPES.reader}", resource_metadata="${metadataUrl}"`;
  return {
    status: 403,
    says: `the token lacks the scope ${SCOPES.reader}`,
    headers: { 'WWW-Authenticate': header },
  };
}

/** RFC 6750 and 9728: what is missing, where tokens come from, and what one has to carry at least. */
function challenge({ metadataUrl }: GateParts, error: string | null, says = 'a token is needed'): Problem {
  const members = [
    ...(error === null ? [] : [`error="${error}"`, `error_description="${says}"`]),
    `scope="${SCOPES.reader}"`,
    `resource_metadata="${metadataUrl}"`,
  ];
  return { status: 401, says, headers: { 'WWW-Authenticate': `Bearer ${members.join(', ')}` } };
}
