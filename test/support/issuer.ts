import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makeCertificate } from '../contract-server/start.ts';

export const AUDIENCE = 'https://mcp.example.com/mcp';

/** A real issuer in small, over TLS: its discovery document, its keys, and tokens signed with one of them. */
export interface Issuer {
  url: string;
  /** Of the authority that vouches for it. */
  caFile: string;
  /** How the question for its keys is answered instead; null: with its keys. */
  keysBreak: ((response: ServerResponse) => void) | null;
  token(claims: Record<string, unknown>, options?: { audience?: string; expires?: string; forged?: boolean; issuer?: string }): Promise<string>;
  server: Server;
} // prettier-ignore

/** `folder`: for its certificate. */
export async function startIssuer(folder: string): Promise<Issuer> {
  const certificate = makeCertificate(folder);
  const [own, other] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')]);
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const tls = { key: readFileSync(certificate.key), cert: readFileSync(certificate.cert) };
  const server = createServer(tls, (request, response) => {
    if (request.url === '/keys' && issuer.keysBreak) return issuer.keysBreak(response);
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: [jwk] },
    };
    const document = documents[request.url ?? ''];
    response.writeHead(document ? 200 : 404, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(document ?? null));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer: Issuer = {
    url,
    caFile: certificate.cert,
    keysBreak: null,
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
