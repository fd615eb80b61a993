import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION, type Config } from '../../config.ts';
import type { Place } from './place.ts';

/** The server under show, as any MCP client sees it. */
export interface Session {
  /** The answer's structured part. Throws what the server refused with. */
  call(tool: string, args: object, onProgress?: (message: string, seconds: number) => void): Promise<unknown>;
  close(): Promise<void>;
}

export interface SessionOptions {
  config: Config;
  /** The demo's own folder: workspaces and ledger lie below it. */
  folder: string;
  place: Place;
  /** The human: gets the question's text and answers. */
  onAsk(question: string): boolean;
}

/** The server's data folder, and its folder of workspaces, in the demo's own. */
export function homeIn(folder: string): string {
  return join(folder, 'home');
}

export function workspacesIn(folder: string): string {
  return join(folder, 'workspaces');
}

/** Starts this program's own server as a child, as an assistant's client does, and connects to it. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const [{ Client }, { StdioClientTransport }] = await Promise.all([
    import('@modelcontextprotocol/client'),
    import('@modelcontextprotocol/client/stdio'),
  ]);
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [fileURLToPath(new URL('./main.js', import.meta.url))],
    env: environment(options),
    cwd: options.folder,
    stderr: 'inherit',
  });
  const client = new Client(
    { name: 'polycrate-mcp demo', version: VERSION },
    { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  client.setRequestHandler('elicitation/create', ({ params }) =>
    options.onAsk(params.message) ? { action: 'accept', content: { approve: true } } : { action: 'decline' },
  );
  await client.connect(transport);
  return {
    async call(name, args, onProgress) {
      const result = await client.callTool(
        { name, arguments: args as Record<string, unknown> },
        onProgress && { onprogress: ({ message, progress }) => onProgress(message ?? '', progress) },
      );
      if (result.isError) throw new Error(`${name} was refused: ${JSON.stringify(result.content)}`);
      return result.structuredContent;
    },
    close: () => client.close(),
  };
}

/** Nothing of the operator's settings but the engine: the demo touches neither their ledger nor their workspaces. */
function environment({ config, folder, place }: SessionOptions): Record<string, string> {
  return {
    ...config.childEnvironment,
    ...(config.dockerHost && { DOCKER_HOST: config.dockerHost }),
    POLYCRATE_MCP_HOME: homeIn(folder),
    POLYCRATE_MCP_WORKSPACES: workspacesIn(folder),
    POLYCRATE_MCP_RUN_MODE: 'ask',
    POLYCRATE_MCP_EXECUTOR: place.executor,
    POLYCRATE_MCP_PULL: 'never',
    POLYCRATE_MCP_TIMEZONE: config.timezone,
    POLYCRATE_MCP_LOG_LEVEL: 'error',
    ...(place.image && { POLYCRATE_MCP_IMAGE: place.image }),
  };
}
