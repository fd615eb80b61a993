import { createHash } from 'node:crypto';
import type * as Oauth from 'oauth4webapi';
import { z } from 'zod';
import type { SignIn, SignInFailure } from '../../access/sign-in.ts';
import { codeOf, messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { ANSWER_MS, discover, IssuerAway, orAway, type IssuerAddress } from './discovery.ts';

export interface OidcSignInOptions extends IssuerAddress {
  /** As which this server is known to the issuer; without a secret it is a public client. */
  client: { id: string; secret: string | null };
  /** Where the issuer sends browsers back to. */
  redirect: string;
  /** Of the access token that is asked for. */
  audience: string;
  scopes: readonly string[];
  /** Hears what only the operator can mend. */
  log: Log;
}

type Library = typeof Oauth;

const ADDRESS = z.url({ protocol: /^https?$/ });
const ISSUER = z.object({
  issuer: z.string(),
  authorization_endpoint: ADDRESS,
  token_endpoint: ADDRESS,
  token_endpoint_auth_methods_supported: z.array(z.string()).exactOptional(),
  // Without these two the library would refuse an ID token signed otherwise, and would not miss who answered.
  id_token_signing_alg_values_supported: z.array(z.string()).exactOptional(),
  authorization_response_iss_parameter_supported: z.boolean().exactOptional(),
});

const MOST_CHARACTERS = 200;
const AWAY: SignInFailure = { failed: 'unreachable', says: null };

/** The authorization code flow of OpenID Connect with PKCE. What the issuer says of itself is read anew for each login. */
export function createOidcSignIn(options: OidcSignInOptions): SignIn {
  const { issuer, client, redirect, log } = options;
  return {
    at: new URL(issuer).host,
    async begin({ state, verifier }) {
      const server = await found(options);
      if (!server) return AWAY;
      const url = new URL(server.authorization_endpoint);
      const asked = {
        response_type: 'code',
        client_id: client.id,
        redirect_uri: redirect,
        scope: options.scopes.join(' '),
        state,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        // What RFC 8707 calls a resource has another name at some issuers.
        audience: options.audience,
        ...resourceOf(options),
      };
      for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
      return { url: url.href };
    },
    async finish({ state, verifier }, answer) {
      const server = await found(options);
      if (!server) return AWAY;
      const library = await import('oauth4webapi');
      const own = { client_id: client.id };
      try {
        const taken = library.validateAuthResponse(server, own, answer, state);
        const auth = clientAuth(library, client.secret, server.token_endpoint_auth_methods_supported);
        const response = await library.authorizationCodeGrantRequest(server, own, auth, taken, redirect, verifier, {
          additionalParameters: resourceOf(options),
          signal: timeLimit(ANSWER_MS),
          [library.customFetch]: orAway(options.fetch),
          [library.allowInsecureRequests]: isPlain(issuer),
        });
        const { access_token } = await library.processAuthorizationCodeResponse(server, own, response);
        return { token: access_token };
      } catch (error) {
        const failure = failureOf(library, error);
        if (failure.failed !== 'declined') log('warn', 'a login at the issuer failed', { issuer, error: failure.says ?? messageOf(error) });
        return failure;
      }
    },
  };
} // prettier-ignore

/** Null: the issuer is away, or names addresses that are less safe than its own. */
async function found(options: OidcSignInOptions): Promise<z.output<typeof ISSUER> | null> {
  const { issuer, log } = options;
  const server = await discover(options, ISSUER).catch((error: unknown) => {
    log('warn', 'the issuer cannot be asked for a login', { issuer, error: messageOf(error) });
    return null;
  });
  const addresses = server ? [server.authorization_endpoint, server.token_endpoint] : [];
  if (!addresses.some(isPlain) || isPlain(issuer)) return server;
  log('warn', 'the issuer names addresses without TLS, which are not used', { issuer });
  return null;
}

function isPlain(url: string): boolean {
  return new URL(url).protocol === 'http:';
}

/** Only absolute addresses are resources. */
function resourceOf({ audience }: OidcSignInOptions): { resource?: string } {
  return URL.canParse(audience) ? { resource: audience } : {};
}

function clientAuth(
  library: Library,
  secret: string | null,
  methods: readonly string[] = [],
): Oauth.ClientAuth {
  if (secret === null) return library.None();
  const isPost = methods.includes('client_secret_post') && !methods.includes('client_secret_basic');
  return isPost ? library.ClientSecretPost(secret) : library.ClientSecretBasic(secret);
}

function failureOf(library: Library, error: unknown): SignInFailure {
  if (error instanceof IssuerAway) return AWAY;
  if (error instanceof library.AuthorizationResponseError) {
    return { failed: error.error === 'access_denied' ? 'declined' : 'refused', says: wordsOf(error) };
  }
  if (error instanceof library.ResponseBodyError) return { failed: 'refused', says: wordsOf(error) };
  // So the token endpoint refuses a client that it does not know, or that has another secret.
  if (error instanceof library.WWWAuthenticateChallengeError) return { failed: 'refused', says: 'invalid_client' };
  const code = codeOf(error);
  // An answer of nobody who knows the protocol: a proxy's page, a server that is starting.
  const strange: readonly unknown[] = [library.PARSE_ERROR, library.RESPONSE_IS_NOT_JSON, library.RESPONSE_IS_NOT_CONFORM];
  if (strange.includes(code)) return AWAY;
  if (code?.startsWith('OAUTH_')) return { failed: 'refused', says: null };
  throw error;
} // prettier-ignore

function wordsOf({ error, error_description }: { error: string; error_description?: string | undefined }): string {
  const words = error_description === undefined ? error : `${error}: ${error_description}`;
  return words.length > MOST_CHARACTERS ? `${words.slice(0, MOST_CHARACTERS)}…` : words;
} // prettier-ignore
