import type { McpRequestContext } from '@modelcontextprotocol/server';

/** What of a server is used. */
export interface Needed {
  /** The names of tools that may be called; null: of all. */
  calls: readonly string[] | null;
  resources: boolean;
  prompts: boolean;
}

const EVERYTHING: Needed = { calls: null, resources: true, prompts: true };

/**
 * A request of the 2026 revision has a server of its own, which needs no more than its one message does. The library held
 * these headers against the message before it asks for the server.
 */
export function neededFor(ctx: McpRequestContext | undefined): Needed {
  const headers = ctx?.era === 'modern' ? ctx.requestInfo?.headers : undefined;
  switch (headers?.get('mcp-method')) {
    case 'tools/list':
      return { calls: [], resources: false, prompts: false };
    case 'tools/call':
      return { calls: [headers?.get('mcp-name') ?? ''], resources: false, prompts: false };
    case 'resources/list':
    case 'resources/templates/list':
    case 'resources/read':
      return { calls: [], resources: true, prompts: false };
    case 'prompts/list':
    case 'prompts/get':
      return { calls: [], resources: false, prompts: true };
    default:
      return EVERYTHING;
  }
}
