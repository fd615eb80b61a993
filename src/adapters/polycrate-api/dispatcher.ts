import type { Dispatcher } from 'undici';

export interface Proxies {
  http: string | null;
  https: string | null;
  /** Hosts that are reached without, comma-separated. */
  none: string | null;
}

export interface Ways {
  /** Certificates that are trusted besides those of the system; read when the first connection is made. */
  ca(): Promise<string | null>;
  proxies: Proxies;
}

export interface Limits {
  headers_ms: number;
  body_ms: number;
  /** To one host; null: any number. */
  connections: number | null;
}

const CONNECT_MS = 5_000;

/** Connections by the operator's proxies, to hosts that the operator's authorities vouch for. */
export async function createDispatcher({ ca, proxies }: Ways, limits: Limits): Promise<Dispatcher> {
  const [{ Agent, EnvHttpProxyAgent }, { rootCertificates }, extra] = await Promise.all([
    import('undici'),
    import('node:tls'),
    ca(),
  ]);
  const tls = extra === null ? {} : { ca: [...rootCertificates, extra] };
  const common = {
    connect: { timeout: CONNECT_MS, ...tls },
    headersTimeout: limits.headers_ms,
    bodyTimeout: limits.body_ms,
    connections: limits.connections,
  };
  if (proxies.http === null && proxies.https === null) return new Agent(common);
  return new EnvHttpProxyAgent({
    ...common,
    // Given even if empty: the library would read the environment otherwise.
    httpProxy: proxies.http ?? '',
    httpsProxy: proxies.https ?? '',
    noProxy: proxies.none ?? '',
    requestTls: { timeout: CONNECT_MS, ...tls },
  });
}
