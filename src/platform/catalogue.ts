import { z } from 'zod';
import type { Mirror } from '../ledger/mirror.ts';
import { canonicalJson, type Json } from '../shared/json.ts';
import type { Clock } from '../shared/ports.ts';
import type { CallOptions, PolycrateApi, RemotePage } from './polycrate-api.ts';

// What exists at a Polycrate API, whether it is here too: kept, so that it can be told while the API is away.

const text = z.string().nullable();
const workspace = z.object({
  id: z.string(),
  organization: text,
  name: z.string(),
  purpose: text,
  url: text,
  commit: text,
});
const block = z.object({
  id: z.string(),
  workspace: text,
  organization: text,
  name: z.string(),
  version: text,
  kind: text,
  template: z.boolean(),
});
const catalogue = z.object({
  workspaces: z.array(workspace), workspaces_at: z.number(),
  blocks: z.array(block), blocks_at: z.number(),
}); // prettier-ignore

export type CataloguedWorkspace = z.infer<typeof workspace>;
export type CataloguedBlock = z.infer<typeof block>;
/** Times are when it was read last; 0: never. */
export type Catalogue = z.infer<typeof catalogue>;

const EMPTY: Catalogue = { workspaces: [], workspaces_at: 0, blocks: [], blocks_at: 0 };
const FRESH_MS = 10 * 60_000;
const PAGE = 100;
const MOST_PAGES = 1_000;

/** Beside the position of the runs, in a place of its own: it is larger, and changes less often. */
const SUFFIX = ' (objects)';
export function isCatalogue(endpoint: string): boolean {
  return endpoint.endsWith(SUFFIX);
}

export interface Catalogues {
  /** As it was stored last. */
  of(endpoint: string): Promise<Catalogue>;
  refreshWorkspaces(api: PolycrateApi, call: CallOptions): Promise<void>;
  refreshBlocks(api: PolycrateApi, call: CallOptions): Promise<void>;
}

export function createCatalogues({ mirror, clock }: { mirror: Pick<Mirror, 'standing' | 'storePage'>; clock: Pick<Clock, 'now'> }): Catalogues {
  const of = async (endpoint: string): Promise<Catalogue> => {
    const standing = await mirror.standing('api', endpoint + SUFFIX);
    return catalogue.safeParse(standing?.position).data ?? EMPTY;
  };
  const store = async (endpoint: string, before: Catalogue, change: Partial<Catalogue>): Promise<void> => {
    const position = JSON.parse(canonicalJson({ ...before, ...change })) as Json;
    await mirror.storePage({ source: 'api', endpoint: endpoint + SUFFIX, at: clock.now(), rows: [], position });
  };
  return {
    of,
    async refreshWorkspaces(api, call) {
      const before = await of(api.name);
      if (clock.now() - before.workspaces_at < FRESH_MS) return;
      const known = new Map(before.workspaces.map((one) => [one.id, one.name]));
      const workspaces: CataloguedWorkspace[] = [];
      for (const { id, organization, purpose, url, commit } of await whole((page) => api.workspaces({ page, page_size: PAGE }, call))) {
        // Lists show the display name; the technical one does not change.
        const name = known.get(id) ?? (await api.workspace(id, call)).name;
        workspaces.push({ id, organization: organization?.name ?? null, name, purpose, url, commit });
      }
      await store(api.name, before, { workspaces, workspaces_at: clock.now() });
    },
    async refreshBlocks(api, call) {
      const before = await of(api.name);
      if (clock.now() - before.blocks_at < FRESH_MS) return;
      const found = await whole((page) => api.blocks({ page, page_size: PAGE }, call));
      const blocks = found.map(({ id, workspace: home, organization, name, version, kind, template }) => ({
        id, workspace: home?.name ?? null, organization: organization?.name ?? null, name, version, kind, template,
      }));
      await store(api.name, before, { blocks, blocks_at: clock.now() });
    },
  };
} // prettier-ignore

/** All pages; what moves to a later page while they are read comes once. */
async function whole<T extends { id: string }>(read: (page: number) => Promise<RemotePage<T>>): Promise<T[]> {
  const found = new Map<string, T>();
  for (let page = 1; page <= MOST_PAGES; page++) {
    const { items, more } = await read(page);
    for (const item of items) found.set(item.id, item);
    if (!more) break;
  }
  return [...found.values()];
} // prettier-ignore
