import { firstOf, type Authenticator } from '../access/authenticate.ts';
import { SCOPES } from '../access/identity.ts';
import { systemClock } from '../adapters/host/host.ts';
import { createOidcAuthenticator } from '../adapters/oidc/index.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createKeyAuthenticator, type ApiKeys, type KeyHolders } from '../ledger/api-keys.ts';
import { AppError } from '../shared/errors.ts';

interface Parts {
  config: Config;
  holders: KeyHolders;
  /** Of the MCP endpoint, which tokens name as their audience. */
  path: string;
}

export function holdersOf(keys: ApiKeys, records: Records): KeyHolders {
  return createKeyAuthenticator(keys, { clock: systemClock, ledger: () => records.check.id() });
}

/** Keys first: they say by their looks what they are. */
export function authenticatorOf({ config, holders, path }: Parts): Authenticator {
  if (config.oidcIssuer === null) return holders;
  const audience = config.oidcAudience ?? (config.publicUrl && new URL(path, config.publicUrl).href);
  if (audience === null) {
    throw new AppError(
      'configuration',
      'POLYCRATE_MCP_OIDC_ISSUER needs POLYCRATE_MCP_OIDC_AUDIENCE or POLYCRATE_MCP_PUBLIC_URL: tokens for other servers must not open this one.',
    );
  }
  const tokens = createOidcAuthenticator({ issuer: config.oidcIssuer, audience, scopes: SCOPES });
  return firstOf([holders, tokens]);
}
