import type { Known, Redaction } from '../shared/redact/redaction.ts';
import { secretValues } from '../shared/secrets.ts';
import type { Workspace } from './workspace.ts';
import type { WorkspaceStore } from './workspace-store.ts';

const made = new WeakMap<Workspace, Known>();

/** What the definitions of a workspace hide and name. Any block's secrets may turn up where another block's action runs. */
export function knownOf(workspace: Workspace): Known {
  const earlier = made.get(workspace);
  if (earlier) return earlier;
  const { blocks, workflows, config } = workspace;
  const known: Known = {
    secrets: [...blocks.flatMap((block) => secretValues(block.config)), ...secretValues(workspace.extraenv)],
    names: [
      ...[workspace.name, workspace.organization, workspace.environment?.value, config.image],
      ...blocks.flatMap(({ name, version, from, kind, actions }) => [
        name,
        version,
        from,
        kind,
        ...actions.map((action) => action.name),
      ]),
      ...workflows.flatMap(({ name, steps }) => [name, ...steps.map((step) => step.name)]),
    ].filter((name) => typeof name === 'string'),
  };
  made.set(workspace, known);
  return known;
}

/** A store that tells what it has read, before anybody can speak of it. */
export function watched(store: WorkspaceStore, redaction: Redaction): WorkspaceStore {
  return {
    ...store,
    async list() {
      const workspaces = await store.list();
      for (const workspace of workspaces) redaction.learn(workspace.path, knownOf(workspace));
      return workspaces;
    },
    async secretFiles(workspace) {
      const secrets = await store.secretFiles(workspace);
      redaction.learn(`${workspace.path}/secrets`, { secrets, names: [] });
      return secrets;
    },
  };
}
