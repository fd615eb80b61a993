import { SCOPES } from '../../access/identity.ts';

export const METADATA_PATH = '/.well-known/oauth-protected-resource';

/** RFC 9728: what this server is called as a resource, and who issues tokens for it. */
export function protectedResource(endpoint: URL, issuer: string | null): object {
  return {
    resource: endpoint.href,
    ...(issuer !== null && { authorization_servers: [issuer] }),
    scopes_supported: Object.values(SCOPES),
    bearer_methods_supported: ['header'],
    resource_name: 'Polycrate',
  };
}

/** The document has the path of the resource behind its well-known place. */
export function metadataUrlOf(endpoint: URL): string {
  return new URL(`${METADATA_PATH}${endpoint.pathname}`, endpoint).href;
}
