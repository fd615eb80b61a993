import type { Block } from '../blocks/block.ts';
import { AppError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { recent } from '../shared/recent.ts';
import type { Git } from '../workspaces/git-state.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { OfferedWorkspace, RunnerExchange } from './exchange.ts';

/** Who asks for names may get those of a moment ago. */
const FRESH_MS = 1_000;

function absent(): Promise<never> {
  const why = 'this server has no files of workspaces; its runners have them';
  return Promise.reject(new AppError('refused', why));
}

/**
 * The workspaces of a server that leaves them to its runners: names, as far as runners have told them. What is behind a
 * name has to be asked of a runner, and there are no secrets to know.
 */
export function offeredWorkspaces(exchange: Pick<RunnerExchange, 'runners'>, clock: Clock): WorkspaceStore {
  const list = recent(
    async () => {
      const all = (await exchange.runners()).flatMap(({ workspaces }) => workspaces);
      const distinct = new Map(all.map((one) => [addressOf(one), one]));
      return [...distinct.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => workspaceOf(one));
    },
    FRESH_MS,
    clock,
  );
  return {
    list,
    problems: () => Promise.resolve([]),
    unlock: (workspace) => Promise.resolve(workspace),
    secretFiles: () => Promise.resolve([]),
    inspect: absent,
    plays: absent,
    dockerfile: absent,
    documents: absent,
    asOf: absent,
  };
}

/** There are no repositories where there are no workspaces. */
export const NO_GIT: Git = {
  head: () => Promise.resolve(null),
  state: () => Promise.resolve(null),
  checkedOut: () => Promise.resolve(null),
};

const NOTHING = { reference: null, from: null } as never;

function workspaceOf({ blocks, ...offered }: OfferedWorkspace): Workspace {
  return {
    ...offered,
    environment: offered.environment as Workspace['environment'],
    ...{ path: '', description: null, version: null, identifier: null, labels: {}, meta: {} },
    ...{ dependencies: [], workflows: [], unread: {}, extraenv: {}, extramounts: [] },
    ...{ inventory: null, kubeconfig: null, problems: [], differences: [], runnable: false },
    blocks: blocks.map(blockOf),
    config: {
      ...{
        image: null,
        blocksroot: '',
        artifactsroot: '',
        containerroot: '',
        sshprivatekey: '',
        sshpublickey: '',
      },
      ...{ dockerfile: '', logsroot: '', workflowsroot: '', remoteroot: '', globals: {}, logging: null },
    },
  };
}

function blockOf(name: string): Block {
  return {
    name,
    ...{
      version: null,
      app_version: null,
      kind: null,
      type: null,
      flavor: null,
      description: null,
      about: {},
    },
    ...{ from: null, template: false, labels: {}, alias: [], config: {}, actions: [], dir: null, dirs: [] },
    ...{
      inventory: NOTHING,
      kubeconfig: NOTHING,
      origin: {},
      declared_in: '',
      problems: [],
      differences: [],
    },
  };
}

/** What a runner tells of a workspace. */
export function offered({ organization, name, alias, environment, blocks }: Workspace): OfferedWorkspace {
  const aliases = blocks.flatMap((block) => [
    ...block.alias,
    ...block.actions.flatMap((action) => action.alias),
  ]);
  return {
    ...{ organization, name, alias, environment },
    blocks: blocks.map((block) => block.name),
    aliases: [...new Set(aliases)],
  };
}
