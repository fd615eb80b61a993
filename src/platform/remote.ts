import { isOpen, type ActionRun } from '../runs/action-run.ts';
import { createRunRedaction } from '../runs/run-redaction.ts';
import type { RunLogs } from '../runs/run-log.ts';
import { messageOf } from '../shared/errors.ts';
import type { CataloguedBlock, Catalogues, CataloguedWorkspace } from './catalogue.ts';
import type { ApiDirectory } from './endpoints.ts';
import type { ApiMirror } from './mirror.ts';

export type At<T> = T & { endpoint: string };

/** What only a Polycrate API has. */
export interface Remote {
  workspaces(): Promise<At<CataloguedWorkspace>[]>;
  blocks(): Promise<At<CataloguedBlock>[]>;
  /** Brings the output of a run here that somebody else executed. Null: it is here, or there is none; else why it is not. */
  bringLog(run: ActionRun): Promise<string | null>;
}

export interface RemotePorts {
  apis: Pick<ApiDirectory, 'setup' | 'open'>;
  catalogues: Pick<Catalogues, 'of'>;
  mirror: Pick<ApiMirror, 'refresh'>;
  logs: Pick<RunLogs, 'put' | 'read'>;
  /** What the output of a run must not show, as far as its workspace is known here. */
  secretsOf(run: ActionRun): Promise<string[]>;
}

export function createRemote(ports: RemotePorts): Remote {
  const { apis, catalogues, logs } = ports;
  const bringing = new Map<string, Promise<string | null>>();

  const each = async <T>(look: (catalogue: Awaited<ReturnType<Catalogues['of']>>) => { at: number; items: readonly T[] }): Promise<At<T>[]> => {
    const { endpoints } = await apis.setup();
    const found: At<T>[] = [];
    for (const { name: endpoint } of endpoints) {
      let seen = look(await catalogues.of(endpoint));
      if (seen.at === 0) {
        await ports.mirror.refresh();
        seen = look(await catalogues.of(endpoint));
      }
      found.push(...seen.items.map((item) => ({ ...item, endpoint })));
    }
    return found;
  };

  const bring = async (run: ActionRun, { endpoint, id }: { endpoint: string; id: string }): Promise<string | null> => {
    try {
      const api = await apis.open(endpoint);
      if (!api) return `the Polycrate API ${endpoint} is not configured here any more`;
      const { stdout, stderr } = await api.log(id);
      const pieces = ([['stdout', stdout], ['stderr', stderr]] as const).flatMap(([stream, text]) => text === null ? [] : [[stream, text] as const]);
      await logs.put(run.id, pieces, createRunRedaction(await ports.secretsOf(run)).clean);
      return null;
    } catch (error) {
      return `its log could not be fetched: ${messageOf(error)}`;
    }
  };

  return {
    workspaces: () => each(({ workspaces, workspaces_at }) => ({ at: workspaces_at, items: workspaces })),
    blocks: () => each(({ blocks, workspaces_at }) => ({ at: workspaces_at, items: blocks })),
    async bringLog(run) {
      const { endpoint, action_run_id: id = null } = run.api ?? {};
      if (run.source === 'ledger' || endpoint === undefined || id === null || isOpen(run)) return null;
      if (await logs.read(run.id, ANY)) return null;
      let going = bringing.get(run.id);
      if (!going) bringing.set(run.id, (going = bring(run, { endpoint, id }).finally(() => bringing.delete(run.id))));
      return going;
    },
  };
} // prettier-ignore

const ANY = { mode: 'head', lines: 1, line: 1, stream: null, matches: null } as const;
