import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator } from '../../src/access/authenticate.ts';
import { SCOPES } from '../../src/access/identity.ts';
import { createOidcAuthenticator } from '../../src/adapters/oidc/index.ts';
import type { Proxies } from '../../src/adapters/polycrate-api/dispatcher.ts';
import { createOidcSignIn } from '../../src/adapters/oidc/sign-in.ts';
import { createFetch } from '../../src/adapters/polycrate-api/fetch.ts';
import { startProxy } from '../support/http-proxy.ts';
import { AUDIENCE, startIssuer, type Issuer } from '../support/issuer.ts';
import { tempFolder } from '../support/mcp.ts';

const NO_PROXIES: Proxies = { http: null, https: null, none: null };

describe('access tokens of an issuer', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let issuer: Issuer;
  let token: string;
  const authenticator = (given: { caFile?: string | null; proxies?: Proxies } = {}): Authenticator => {
    const { caFile, proxies } = { caFile: issuer.caFile, proxies: NO_PROXIES, ...given };
    const ca = async (): Promise<string | null> => (caFile === null ? null : await readFile(caFile, 'utf8'));
    const fetch = createFetch({ ca, proxies });
    return createOidcAuthenticator({ issuer: issuer.url, audience: AUDIENCE, scopes: SCOPES, fetch });
  };

  beforeEach(async () => {
    folder = await tempFolder('issuer');
    issuer = await startIssuer(folder.path);
    token = await issuer.token({ sub: 'u-1', scope: 'polycrate:read' });
  });
  afterEach(async () => {
    issuer.server.closeAllConnections();
    issuer.server.close();
    await folder.remove();
  });

  it('are read from one that an authority of the operator vouches for, and from no other', async () => {
    const known = { identity: { principal: { kind: 'oidc', subject: 'u-1' }, roles: ['reader'] } };
    expect(await authenticator().authenticate(token)).toMatchObject(known);
    expect(await authenticator({ caFile: null }).authenticate(token)).toEqual({ refused: 'unreachable' });
  });

  it('are read by the proxy of the operator', async () => {
    const proxy = await startProxy();
    const at = `http://127.0.0.1:${proxy.port}`;
    const proxied = authenticator({ proxies: { http: at, https: at, none: null } });
    expect(await proxied.authenticate(token)).toHaveProperty('identity');
    expect(proxy.seen.length).toBeGreaterThan(0);
    await proxy.stop();
  });

  it.each<[string, Issuer['keysBreak']]>([
    ['are cut off', (response) => response.destroy()],
    ['are an error', (response) => response.writeHead(500).end()],
    ['are no JSON', (response) => response.end('<html>')],
    ['are no keys', (response) => response.end('{"keys":7}')],
  ])('are not called wrong while its keys %s, and fine afterwards', async (_, keysBreak) => {
    const tokens = authenticator();
    issuer.keysBreak = keysBreak;
    expect(await tokens.authenticate(token)).toEqual({ refused: 'unreachable' });
    issuer.keysBreak = null;
    expect(await tokens.authenticate(token)).toHaveProperty('identity');
  });

  it('cannot be asked for where it is away, which the operator hears, and not what was secret', async () => {
    const said: unknown[] = [];
    const signIn = createOidcSignIn({
      ...{
        issuer: issuer.url,
        audience: AUDIENCE,
        scopes: ['openid'],
        redirect: 'https://mcp.example/approvals/login',
      },
      client: { id: 'page', secret: 'a-secret-of-the-page' },
      fetch: createFetch({ ca: async () => null, proxies: NO_PROXIES }),
      log: (...words) => void said.push(words),
    });
    const secrets = { state: 'a-state', verifier: 'a-verifier' };
    expect(await signIn.begin(secrets)).toEqual({ failed: 'unreachable', says: null });
    const answer = new URLSearchParams({ code: 'a-code', state: 'a-state' });
    expect(await signIn.finish(secrets, answer)).toEqual({ failed: 'unreachable', says: null });
    const heard = [
      'warn',
      'the issuer cannot be asked for a login',
      { issuer: issuer.url, error: expect.any(String) },
    ];
    expect(said).toEqual([heard, heard]);
    expect(JSON.stringify(said)).not.toMatch(/a-secret|a-code|a-verifier/);
  });
});
