import type { ServerResponse } from 'node:http';
import type { Authenticator, Refused } from '../../access/authenticate.ts';
import { may } from '../../access/identity.ts';
import { logIn, type SessionParts } from './approval-sessions.ts';

export interface Login {
  authenticator: Authenticator;
  sessions: SessionParts;
  response: ServerResponse;
  /** A key, or an access token. */
  token: string;
  says: Readonly<Record<Refused['refused'], string>>;
}

export const REFUSED: Login['says'] = {
  unknown: 'That is no key of this server that is valid now, and no access token that it accepts.',
  revoked: 'That is no key of this server that is valid now.',
  expired: 'It has expired.',
  wrong_audience: 'The token was not issued for this server.',
  unreachable: 'The issuer of the token cannot be reached to check it; please try again later.',
};

/** Logs in whoever the token belongs to; otherwise says why not. */
export async function admit({
  authenticator,
  sessions,
  response,
  token,
  says,
}: Login): Promise<string | null> {
  const held = await authenticator.authenticate(token);
  if (!held) return says.unknown;
  if ('refused' in held) return says[held.refused];
  if (!may(held.identity, 'reader')) return 'The token has none of the scopes of this server.';
  if (logIn(sessions, response, held)) return null;
  return 'The token names more places than a browser would remember; log in with an API key.';
}
