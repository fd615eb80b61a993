import { afterAll, beforeAll, expect } from 'vitest';
import type { ActionRun } from '../../src/runs/action-run.ts';
import { fillLedger } from './fill-ledger.ts';
import { connect, tempFolder, type Connection } from './mcp.ts';
import { COUNTED, OTHERS } from './search-story.ts';
import { localSettings, script, writeWorkspace } from './workspaces.ts';

/** A server over the history of search-story.ts, for all tests of a file, and calls of `search_action_runs`. */
export interface SearchServer {
  server(): Connection;
  /** As they were stored: OTHERS, then COUNTED. */
  stored(): readonly ActionRun[];
  search(args?: Record<string, unknown>): Promise<any>;
  /** The error. */
  refused(args?: Record<string, unknown>): Promise<any>;
}

export function useSearchServer(): SearchServer {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let root: Awaited<ReturnType<typeof tempFolder>>;
  let server: Connection;
  let stored: ActionRun[];
  beforeAll(async () => {
    [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
    await writeWorkspace(root.path, {
      name: 'quiet',
      organization: 'initech',
      blocks: { silent: { version: '3.3.3', actions: [script('never-ran', 'true')] } },
    });
    stored = await fillLedger(home.path, [...OTHERS, ...COUNTED]);
    server = await connect({ home: home.path, env: localSettings(root.path) });
  });
  afterAll(async () => {
    await server.close();
    await Promise.all([home.remove(), root.remove()]);
  });
  return {
    server: () => server,
    stored: () => stored,
    async search(args = {}) {
      const { isError, error, data } = await server.call('search_action_runs', args);
      if (isError) throw new Error(JSON.stringify(error));
      return data;
    },
    async refused(args = {}) {
      const { isError, error } = await server.call('search_action_runs', args);
      expect(isError, JSON.stringify(args)).toBe(true);
      return error;
    },
  };
}
