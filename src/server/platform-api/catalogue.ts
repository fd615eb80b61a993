import type { RunFilters } from '../../history/search.ts';
import type { Services } from '../../tools/services.ts';
import { idOf } from './shapes.ts';

export interface KnownWorkspace {
  organization: string | null;
  workspace: string;
  /** When its first run began; null: it had none. */
  first_at: number | null;
  environment: string | null;
}

export interface KnownBlock {
  organization: string | null;
  workspace: string;
  block: string;
  /** Of the definition that is here; null: there is none. */
  version: string | null;
  kind: string | null;
  from: string | null;
  actions: readonly string[];
}

/** The places that one identity sees: those of runs, and those whose definitions are here. */
export interface Catalogue {
  organizations: readonly string[];
  workspaces: readonly KnownWorkspace[];
  blocks: readonly KnownBlock[];
}

const EVERYTHING: RunFilters = { span: { since: null, until: null }, time_field: 'started' };
const MOST_PLACES = 100_000;

export async function catalogueOf({ history, overview }: Pick<Services, 'history' | 'overview'>): Promise<Catalogue> {
  const [{ groups }, here] = await Promise.all([
    history.summarize({
      filters: EVERYTHING,
      group_by: ['organization', 'workspace', 'block'],
      slices: null,
      order: 'key',
      skip: 0,
      limit: MOST_PLACES,
    }),
    overview(),
  ]);
  const workspaces = new Map<string, KnownWorkspace>();
  const blocks = new Map<string, KnownBlock>();
  for (const { organization, name: workspace, environment, blocks: defined } of here) {
    const place = { organization, workspace };
    workspaces.set(idOf('workspace', organization, workspace), { ...place, first_at: null, environment: environment?.value ?? null });
    for (const { name, version, kind, from, actions } of defined) {
      const block = { ...place, block: name, version, kind, from, actions: actions.map((action) => action.name) };
      blocks.set(idOf('block', organization, workspace, name), block);
    }
  }
  for (const { key, first } of groups) {
    const [organization = null, workspace, block] = key;
    if (workspace === undefined || workspace === null) continue;
    const id = idOf('workspace', organization, workspace);
    const known = workspaces.get(id) ?? { organization, workspace, first_at: null, environment: null };
    workspaces.set(id, { ...known, first_at: Math.min(first, known.first_at ?? first) });
    if (block === undefined || block === null) continue;
    const blockId = idOf('block', organization, workspace, block);
    const place = { organization, workspace, block };
    if (!blocks.has(blockId)) blocks.set(blockId, { ...place, version: null, kind: null, from: null, actions: [] });
  }
  const names = [...workspaces.values()].flatMap(({ organization }) => organization ?? []);
  return {
    organizations: [...new Set(names)].sort(),
    workspaces: [...workspaces.values()],
    blocks: [...blocks.values()],
  };
} // prettier-ignore
