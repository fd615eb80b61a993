import type { Scope } from '../../access/identity.ts';
import type { RunFilters, RunHistory, RunOrder } from '../../history/search.ts';
import { RUN_STATUSES, type ActionRun, type RunStatus } from '../../runs/action-run.ts';
import type { ApiFault } from './answers.ts';
import type { Catalogue } from './catalogue.ts';
import type { Paging } from './paging.ts';
import { idOf } from './shapes.ts';

// The list of runs by page numbers, on top of a history that goes on from where a page ended.

const RANGES: Record<string, number> = {
  '1h': 1,
  '6h': 6,
  '12h': 12,
  '24h': 24,
  '7d': 168,
  '30d': 720,
  '90d': 2160,
};
const HOUR_MS = 3_600_000;
const ORDERS: Record<string, RunOrder> = {
  '-created_at': 'newest', '-started_at': 'newest', created_at: 'oldest', started_at: 'oldest',
}; // prettier-ignore
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export interface RunListQuery {
  filters: RunFilters;
  order: RunOrder;
  /** Nothing is in the list: an id among the filters is of no place that the asker sees. */
  empty: boolean;
}

/** Values of a parameter that may be repeated, or name several with commas. */
export function idsIn(query: URLSearchParams, name: string, faults: ApiFault[]): string[] | null {
  const values = query.getAll(name).flatMap((value) => value.split(',')).filter((value) => value !== '');
  if (values.length === 0) return null;
  if (values.some((value) => !UUID.test(value))) faults.push({ code: 'invalid', detail: 'An id is a UUID.', attr: name });
  return values.map((value) => value.toLowerCase());
} // prettier-ignore

/** Filters as the history takes them. What the API knows and this ledger has nothing for, is left alone as there. */
export function runListQuery(query: URLSearchParams, { organizations, workspaces, blocks }: Catalogue, now: number): RunListQuery | { faults: ApiFault[] } {
  const faults: ApiFault[] = [];
  const choice = <T>(name: string, choices: Record<string, T>): T | undefined => {
    const value = query.get(name);
    if (value === null || value === '') return undefined;
    if (!Object.hasOwn(choices, value)) faults.push({ code: 'invalid_choice', detail: `One of ${Object.keys(choices).join(', ')}.`, attr: name });
    return choices[value];
  };
  const status = choice('status', Object.fromEntries(RUN_STATUSES.filter((word) => word !== 'unknown').map((word) => [word, word]))) as RunStatus | undefined;
  const hours = choice('time_range', RANGES);
  const order = choice('ordering', ORDERS) ?? 'newest';
  const wanted = {
    organizations: idsIn(query, 'organizations', faults),
    workspaces: idsIn(query, 'workspaces', faults),
    blocks: idsIn(query, 'blocks', faults),
  };
  if (query.get('name_exact')) faults.push({ code: 'invalid', detail: 'Runs have no names of their own here; use action, blocks or search.', attr: 'name_exact' });
  if (faults.length > 0) return { faults };
  const places = blocks.filter(({ organization, workspace, block }) => wanted.blocks?.includes(idOf('block', organization, workspace, block)));
  const homes = workspaces.filter(({ organization, workspace }) => wanted.workspaces?.includes(idOf('workspace', organization, workspace)));
  const names = organizations.filter((name) => wanted.organizations?.includes(idOf('organization', name)));
  const addresses = [
    ...(wanted.blocks ? [new Set(places.map(addressOf))] : []),
    ...(wanted.workspaces ? [new Set(homes.map(addressOf))] : []),
  ];
  const [first, second] = addresses;
  const addressed = first && [...first].filter((address) => second === undefined || second.has(address));
  const text = query.get('search');
  const action = query.get('action');
  const filters: RunFilters = {
    span: { since: hours === undefined ? null : now - hours * HOUR_MS, until: null },
    time_field: 'started',
    ...(wanted.organizations && { organization: names }),
    ...(addressed && { workspace: addressed }),
    ...(wanted.blocks && { block: [...new Set(places.map(({ block }) => block))] }),
    ...(action && { action: [action] }),
    // An end that nobody saw is shown as a failure.
    ...(status && { status: status === 'failed' ? ['failed', 'unknown'] : [status] }),
    ...(text && { text }),
  };
  const empty = [wanted.organizations && names, addressed, filters.block].some((list) => list?.length === 0);
  return { filters, order, empty };
} // prettier-ignore

function addressOf({ organization, workspace }: { organization: string | null; workspace: string }): string {
  return `${organization ?? '-'}/${workspace}`;
}

export interface RunPager {
  page(query: RunListQuery, paging: Paging): Promise<{ count: number; runs: readonly ActionRun[] }>;
}

type Position = { value: number; id: string };

/** Runs that are passed over at once on the way to a far page. */
const STRIDE = 1_000;
const MOST_POSITIONS = 2_000;

/** Remembers where pages ended, so that whoever turns pages one by one passes over nothing twice. */
export function createRunPagers(): (history: RunHistory, scope: Scope) => RunPager {
  const ends = new Map<string, Position>();
  const remember = (key: string, position: Position): void => {
    if (ends.size >= MOST_POSITIONS) ends.delete(ends.keys().next().value!);
    ends.set(key, position);
  };
  return (history, scope) => ({
    async page({ filters, order, empty }, { page, size }) {
      if (empty) return { count: 0, runs: [] };
      const ask = (limit: number, after: Position | null) =>
        history.search({ filters, include_excluded: false, order, limit, after });
      // Of another number of runs, pages end elsewhere.
      const head = await ask(page === 1 ? size : 1, null);
      const count = head.total;
      const key = (offset: number): string => JSON.stringify([scope, filters, order, count, offset]);
      const skip = (page - 1) * size;
      if (skip >= count) return { count, runs: [] };
      let offset = skip;
      while (offset > 0 && !ends.has(key(offset))) offset -= size;
      let after = offset > 0 ? ends.get(key(offset))! : null;
      while (offset < skip) {
        const passed = await ask(Math.min(STRIDE, skip - offset), after);
        if (!passed.next) return { count, runs: [] };
        offset += passed.runs.length;
        after = passed.next;
      }
      const found = page === 1 ? head : await ask(size, after);
      if (found.next) remember(key(skip + size), found.next);
      return { count, runs: found.runs };
    },
  });
}
