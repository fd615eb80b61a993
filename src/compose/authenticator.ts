import { firstOf, type Authenticator } from '../access/authenticate.ts';
import { SCOPES } from '../access/identity.ts';
import { systemClock } from '../adapters/host/host.ts';
import { createOidcAuthenticator } from '../adapters/oidc/index.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createKeyAuthenticator, type ApiKeys, type KeyHolders } from '../ledger/api-keys.ts';
import type { Outage } from '../runs/outage.ts';
import { AppError } from '../shared/errors.ts';
import { fetchOf } from './api.ts';

interface Parts {
  config: Config;
  holders: KeyHolders;
  /** Of the MCP endpoint, which tokens name as their audience. */
  path: string;
}

export function holdersOf(keys: ApiKeys, records: Records, outage: Pick<Outage, 'away'> | null): KeyHolders {
  const parts = { clock: systemClock, ledger: () => records.check.id() };
  if (!outage) return createKeyAuthenticator(keys, parts);
  const isAway = async (): Promise<boolean> => (await outage.away()) !== null;
  const holders = createKeyAuthenticator(lastKnown(keys, isAway), parts);
  return {
    ...holders,
    async authenticate(token) {
      try {
        const answer = await holders.authenticate(token);
        const isUnknown = answer !== null && 'refused' in answer && answer.refused === 'unknown';
        return isUnknown && (await isAway()) ? { refused: 'unreachable' } : answer;
      } catch (error) {
        if (await isAway()) return { refused: 'unreachable' };
        throw error;
      }
    },
  };
}

/** Without the database nobody can revoke a key either: those that were known go on. */
function lastKnown(keys: Pick<ApiKeys, 'list'>, isAway: () => Promise<boolean>): Pick<ApiKeys, 'list'> {
  let last: Awaited<ReturnType<ApiKeys['list']>> | null = null;
  return {
    async list() {
      try {
        return (last = await keys.list());
      } catch (error) {
        if (last && (await isAway())) return last;
        throw error;
      }
    },
  };
}

/** Keys first: they say by their looks what they are. */
export function authenticatorOf({ config, holders, path }: Parts): Authenticator {
  if (config.oidcIssuer === null) return holders;
  const audience = audienceOf(config, path);
  const fetch = fetchOf(config);
  const tokens = createOidcAuthenticator({ issuer: config.oidcIssuer, audience, scopes: SCOPES, fetch });
  return firstOf([holders, tokens]);
}

/** What tokens for this server name. */
export function audienceOf({ oidcAudience, publicUrl }: Config, path: string): string {
  const audience = oidcAudience ?? (publicUrl && new URL(path, publicUrl).href);
  if (audience !== null) return audience;
  throw new AppError(
    'configuration',
    'POLYCRATE_MCP_OIDC_ISSUER needs POLYCRATE_MCP_OIDC_AUDIENCE or POLYCRATE_MCP_PUBLIC_URL: tokens for other servers must not open this one.',
  );
}
