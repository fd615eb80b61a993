import type { Known, Redaction } from '../shared/redact/redaction.ts';
import { keyedSecrets, secretValues } from '../shared/secrets.ts';
import type { Workspace } from './workspace.ts';
import type { WorkspaceStore } from './workspace-store.ts';

const made = new WeakMap<Workspace, Known>();

/** Headers of the webhook are credentials whatever their names are, and `Bearer x` is one in `x` alone. */
function headerValues(value: unknown, within = false): string[] {
  if (typeof value === 'string') return within ? [value, ...value.split(/\s+/).slice(1)] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    headerValues(member, within || key.toLowerCase() === 'headers'),
  );
}

/** What the definitions of a workspace hide and name. Any block's secrets may turn up where another block's action runs. */
export function knownOf(workspace: Workspace): Known {
  const earlier = made.get(workspace);
  if (earlier) return earlier;
  const { blocks, workflows, config } = workspace;
  const known: Known = {
    secrets: [
      ...blocks.flatMap(({ config, labels, actions }) => [
        ...[config, labels],
        ...actions.flatMap((action) => [action.config, action.labels]),
      ]),
      workspace.labels,
      workspace.unread,
      workspace.extraenv,
      config.globals,
      workspace.meta,
    ]
      .flatMap((values) => [...secretValues(values), ...keyedSecrets(values)])
      .concat(headerValues(workspace.unread)),
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
  const learned = async (place: string, workspace: Workspace): Promise<Workspace> => {
    const { secrets, names } = knownOf(workspace);
    const files = await store.secretFiles(workspace);
    redaction.learn(place, { secrets: [...secrets, ...files], names });
    return workspace;
  };
  return {
    ...store,
    async list(needed) {
      const workspaces = await store.list(needed);
      for (const workspace of workspaces) redaction.learn(workspace.path, knownOf(workspace));
      return workspaces;
    },
    unlock: async (workspace) => learned(`${workspace.path}/unlocked`, await store.unlock(workspace)),
    asOf: async (workspace, view) => learned(`${workspace.path}/as-of`, await store.asOf(workspace, view)),
    async secretFiles(workspace) {
      const secrets = await store.secretFiles(workspace);
      redaction.learn(`${workspace.path}/secrets`, { secrets, names: [] });
      return secrets;
    },
  };
}
