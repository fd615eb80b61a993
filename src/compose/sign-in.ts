import { SCOPES } from '../access/identity.ts';
import type { SignIn } from '../access/sign-in.ts';
import { createOidcSignIn } from '../adapters/oidc/sign-in.ts';
import type { Config } from '../config.ts';
import type { Log } from '../shared/ports.ts';
import { fetchOf } from './api.ts';
import { audienceOf } from './authenticator.ts';

export interface SignInPlaces {
  /** Of the MCP endpoint, which tokens name as their audience. */
  path: string;
  /** Where browsers come back to. */
  returnPath: string;
}

/** Null: nobody logs in at the issuer. */
export function signInOf(
  { config, log }: { config: Config; log: Log },
  { path, returnPath }: SignInPlaces,
): SignIn | null {
  const { oidcIssuer: issuer, oidcClientId: id, oidcClientSecret: secret, publicUrl } = config;
  if (issuer === null || id === null || publicUrl === null) return null;
  return createOidcSignIn({
    issuer,
    client: { id, secret },
    redirect: new URL(returnPath, publicUrl).href,
    audience: audienceOf(config, path),
    scopes: ['openid', SCOPES.reader, SCOPES.approver],
    fetch: fetchOf(config),
    log,
  });
}
