import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makeCertificate } from '../contract-server/start.ts';
import { createLogins, type Logins } from './issuer-logins.ts';

export const AUDIENCE = 'https://mcp.example.com/mcp';
/** Who logs in. */
export const MEI = { sub: 'u-1', email: 'mei@example.com' };

/** A real issuer in small, over TLS: its discovery document, its keys, tokens signed with one of them, and logins. */
export interface Issuer {
  url: string;
  /** Of the authority that vouches for it. */
  caFile: string;
  /** How the question for its keys is answered instead; null: with its keys. */
  keysBreak: ((response: ServerResponse) => void) | null;
  logins: Logins;
  token(claims: Record<string, unknown>, options?: { audience?: string; expires?: string; forged?: boolean; issuer?: string }): Promise<string>;
  server: Server;
} // prettier-ignore

/** `folder`: for its certificate. */
export async function startIssuer(folder: string): Promise<Issuer> {
  const certificate = makeCertificate(folder);
  const [own, other] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const tls = { key: readFileSync(certificate.key), cert: readFileSync(certificate.cert) };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (await issuer.logins.handle(request, response)) return;
    if (request.url === '/keys' && issuer.keysBreak) return issuer.keysBreak(response);
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': {
        issuer: url,
        jwks_uri: `${url}/keys`,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        id_token_signing_alg_values_supported: ['ES256'],
        authorization_response_iss_parameter_supported: true,
        ...issuer.logins.document,
      },
      '/keys': { keys: [jwk] },
    };
    const document = documents[request.url ?? ''];
    response.writeHead(document ? 200 : 404, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(document ?? null));
  };
  const server = createServer(tls, (request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer: Issuer = {
    url,
    caFile: certificate.cert,
    keysBreak: null,
    logins: createLogins({
      url: () => url,
      grant: (asked) =>
        issuer.token({ ...MEI, scope: asked.get('scope') }, { audience: asked.get('resource')! }),
      idToken: (client_id) => issuer.token({ sub: MEI.sub }, { audience: client_id }),
    }),
    server,
    token(claims, { audience = AUDIENCE, expires = '5m', forged = false, issuer = url } = {}) {
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(forged ? other.privateKey : own.privateKey);
    },
  };
  return issuer;
}
