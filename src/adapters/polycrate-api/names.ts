import { ApiError } from '../../platform/api-error.ts';
import type { CallOptions, ListFilters, RemotePage } from '../../platform/polycrate-api.ts';
import type { Clock } from '../../shared/ports.ts';

/** How long an id that was found stands for its names. */
const FRESH_MS = 10 * 60 * 1000;
const MOST = 1_000;

interface Named {
  id: string;
  name: string;
}

interface NamePorts {
  api: string;
  clock: Clock;
  workspaces(filters: ListFilters, options?: CallOptions): Promise<RemotePage<Named>>;
  /** With its technical name; lists show the display name. */
  workspace(id: string, options?: CallOptions): Promise<Named>;
  blocks(filters: ListFilters, options?: CallOptions): Promise<RemotePage<Named>>;
}

export interface Names {
  find(
    names: { organization: string; workspace: string; block: string },
    options?: CallOptions,
  ): Promise<{ workspace: string; block: string }>;
}

/** Names to ids, with a memory; what could not be found is not remembered. */
export function createNames({ api, clock, workspaces, workspace: detail, blocks }: NamePorts): Names {
  const known = new Map<string, { id: string; at: number }>();
  const remembered = async (key: string, look: () => Promise<string>): Promise<string> => {
    const found = known.get(key);
    if (found && clock.now() - found.at < FRESH_MS) return found.id;
    const id = await look();
    if (known.size >= MOST) known.clear();
    known.set(key, { id, at: clock.now() });
    return id;
  };
  const only = (kind: string, name: string, candidates: readonly Named[]): string => {
    if (candidates.length === 1) return candidates[0]!.id;
    if (candidates.length === 0) throw new ApiError('not_found', `${api} has no ${kind} ${name} that this key may see`);
    throw new ApiError('invalid', `${api} has ${candidates.length} objects that are called ${kind} ${name}`, {
      valid: candidates.map((one) => `${one.name} (${one.id})`),
    });
  };
  return {
    async find({ organization, workspace, block }, options) {
      const place = `${organization}/${workspace}`;
      const workspaceId = await remembered(place, async () => {
        const { items } = await workspaces({ name: workspace, organization_name: organization, page_size: 20 }, options);
        return only('workspace', place, await really(items, workspace, (id) => detail(id, options)));
      });
      const blockId = await remembered(`${workspaceId} ${block}`, async () => {
        const { items } = await blocks({ name: block, workspace: workspaceId, page_size: 20 }, options);
        return only('block', `${block} in ${place}`, items.filter(({ name }) => name === block));
      });
      return { workspace: workspaceId, block: blockId };
    },
  };
} // prettier-ignore

/** An API that does not know a filter ignores it, so what comes back is compared with what was asked for. */
async function really(
  items: readonly Named[],
  name: string,
  detail: (id: string) => Promise<Named>,
): Promise<Named[]> {
  const exact = items.filter((item) => item.name === name);
  if (exact.length > 0) return exact;
  const looked = await Promise.all(items.slice(0, 5).map(({ id }) => detail(id)));
  return looked.filter((item) => item.name === name);
}
