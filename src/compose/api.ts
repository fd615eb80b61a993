import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../adapters/host/host.ts';
import type { Ways } from '../adapters/polycrate-api/dispatcher.ts';
import { createFetch } from '../adapters/polycrate-api/fetch.ts';
import { createPolycrateApi } from '../adapters/polycrate-api/index.ts';
import { readApiSetup } from '../adapters/workspace-files/api-files.ts';
import { VERSION, type Config } from '../config.ts';
import type { ApiDirectory, ApiSetup } from '../platform/endpoints.ts';
import type { PolycrateApi } from '../platform/polycrate-api.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import type { Fetch } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';

/** The Polycrate APIs of this process. Files are read, and keys learned by the redaction, when first asked for. */
export function apiDirectoryOf(config: Config, redaction: Redaction): ApiDirectory {
  let reading: Promise<ApiSetup> | null = null;
  const opened = new Map<string, PolycrateApi>();
  const setup = (): Promise<ApiSetup> => {
    reading ??= readApiSetup({
      enabled: config.apiEnabled,
      url: config.apiUrl,
      key: config.apiKey,
      submit: config.apiSubmit,
      onRemoteConflict: config.onRemoteConflict,
      endpointsFile: config.apiEndpointsFile,
      cliFile: join(config.userHome, '.polycrate', 'polycrate.yml'),
    }).then((found) => {
      redaction.learn('api', { secrets: found.endpoints.map(({ key }) => key), names: [] });
      return found;
    });
    return reading;
  };
  return {
    setup,
    async open(name) {
      const endpoint = (await setup()).endpoints.find((one) => one.name === name);
      if (!endpoint) return null;
      let api = opened.get(name);
      if (!api) opened.set(name, (api = createPolycrateApi({ ...partsOf(config), ...endpoint })));
      return api;
    },
    async close() {
      await Promise.all([...opened.values()].map((api) => api.close()));
    },
  };
}

function partsOf(config: Config): Omit<Parameters<typeof createPolycrateApi>[0], 'name' | 'url' | 'key'> {
  return {
    userAgent: `polycrate-mcp/${VERSION}`,
    ...waysOf(config),
    clock: systemClock,
    random: Math.random,
  };
}

/** How this host reaches others, as the operator has it. */
function waysOf({ caFile, proxies }: Pick<Config, 'caFile' | 'proxies'>): Ways {
  return { ca: () => (caFile === null ? Promise.resolve(null) : certificatesIn(caFile)), proxies };
}

/** `fetch` in these ways; nothing is connected before it is used. */
export function fetchOf(config: Pick<Config, 'caFile' | 'proxies'>): Fetch {
  return createFetch(waysOf(config));
}

async function certificatesIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('configuration', `POLYCRATE_MCP_CA_FILE cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}
