import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { type OwnPostgresServer } from '../support/postgres.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { processesOf, rows, watchEngine, type EngineEvents } from '../support/traces.ts';
import { soakScripts } from './actions.ts';

export const DATABASES = ['sqlite', 'postgres'] as const;
export const EXECUTORS = ['docker', 'local'] as const;

/** One column of the matrix. */
export interface Cell {
  database: (typeof DATABASES)[number];
  executor: (typeof EXECUTORS)[number];
}

/** A data folder, a ledger and a workspace of their own, and the ways to look at them past the server. */
export interface SoakPlace extends Cell {
  home: string;
  env: Record<string, string>;
  workspace: ScriptWorkspace;
  engine: EngineEvents | null;
  connect(): Promise<Connection>;
  /** Raw rows; `@` stands before each name of a table. */
  rows(sql: string): Promise<any[]>;
  supervisors(): Promise<number[]>;
  remove(): Promise<void>;
}

export async function openPlace(cell: Cell, postgres: OwnPostgresServer | null): Promise<SoakPlace> {
  const [folder, workspace] = await Promise.all([tempFolder('soak'), scriptWorkspace(soakScripts())]);
  const home = folder.path;
  const schema = cell.database === 'postgres' ? await postgres!.place() : null;
  const engine = cell.executor === 'docker' ? await watchEngine(home) : null;
  const env = {
    ...trusted(workspace, cell.executor),
    ...(schema && { POLYCRATE_MCP_DATABASE_URL: schema.url }),
  };
  return {
    ...cell,
    home,
    env,
    workspace,
    engine,
    connect: () => connect({ home, env }),
    rows: async (sql) =>
      schema ? await there(postgres!.query(sql.replaceAll('@', `${schema.schema}.`))) : rows(home, sql.replaceAll('@', '')),
    async supervisors() {
      const all = await processesOf(home);
      return all.filter((line) => / supervise\b/.test(line)).map((line) => Number(line.split(' ', 1)));
    },
    async remove() {
      engine?.close();
      await Promise.all([workspace.remove(), schema?.remove(), folder.remove()]);
    },
  };
} // prettier-ignore

/** Empty as long as no server has made the tables. */
async function there(result: Promise<any[]>): Promise<any[]> {
  return await result.catch((error: { code?: string }) => {
    if (error.code === '42P01') return [];
    throw error;
  });
}
