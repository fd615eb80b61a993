import { ApiError } from './api-error.ts';
import type { CallOptions, PolycrateApi, RemotePage, RemoteRun } from './polycrate-api.ts';
import type { Mark } from './mirror-position.ts';

export const PAGE = 100;
const MARKED = 10;
const MOST_TRIES = 8;
const MOST_STEPS_BACK = 20;

type Page = RemotePage<RemoteRun>;

/** A page with its place in the list. */
export interface PlacedPage extends Page {
  /** Index of its first run. */
  start: number;
  /** What comes after it. */
  mark: Mark;
}

type Looked = Omit<PlacedPage, 'mark'>;

/** Reads the list of runs from one place on, while it grows at its beginning and loses runs anywhere. */
export interface Pages {
  first(): Promise<PlacedPage>;
  /** The page with what comes after the mark; null: nothing does. */
  after(mark: Mark): Promise<PlacedPage | null>;
}

export function createPages(api: Pick<PolycrateApi, 'name' | 'runs'>, call: CallOptions): Pages {
  let size = PAGE;
  let count: number | null = null;
  /** Ids of the page before, if this reader read it: else the mark is of another day. */
  let before: { mark: Mark; ids: ReadonlySet<string> } | null = null;

  const look = async (page: number): Promise<Looked | null> => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const got = await api.runs({ page, page_size: PAGE }, call).catch((error: unknown) => {
        if (page > 1 && error instanceof ApiError && error.status === 404) return null;
        throw error;
      });
      if (!got) return null;
      // Another page than the one that was asked for, as caches give it.
      if (got.page !== null && got.page !== page) continue;
      // A server may give less at once than it was asked for.
      if (got.more && got.size > 0) size = got.size;
      count = got.count;
      return { ...got, start: (page - 1) * size };
    }
    throw new ApiError('strange', `the Polycrate API ${api.name} answers page ${page} of its runs with another page`);
  };
  const first = async (): Promise<Looked> => (await look(1))!;
  /** All of the page is known from now on; `items` of it are new. */
  const done = (page: Looked, items = page.items): PlacedPage => {
    before = { mark: markOf(page), ids: new Set(page.items.map(({ id }) => id)) };
    return { ...page, items, mark: before.mark };
  };

  /** A mark of another day: the place is found again by its ids, because more than additions may have happened. */
  const resume = async (mark: Mark): Promise<Looked> => {
    let newest = await first();
    let page = pageOf(newest.count - mark.rank, size);
    for (let step = 0; step < MOST_STEPS_BACK; step++) {
      const got: Looked | null = page === 1 ? newest : await look(page);
      if (got && (page === 1 || holds(got, mark))) return got;
      if (!got) {
        newest = await first();
        page = Math.min(page - 1, pageOf(newest.count - mark.rank, size));
      } else page -= 1;
      page = Math.max(page, 1);
    }
    return newest;
  };

  return {
    async first() {
      return done(await first());
    },
    async after(mark) {
      if (before?.mark !== mark) {
        const got = await resume(mark);
        return done(got, got.items.slice(got.items.findLastIndex(({ id }) => mark.ids.includes(id)) + 1));
      }
      const { ids } = before;
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const next = Math.max(0, count! - mark.rank + 1);
        const got: Looked | null = await look(pageOf(next, size));
        if (!got) {
          // Shorter than a moment ago, or over.
          const now = await first();
          if (now.count - mark.rank + 1 >= now.count || pageOf(now.count - mark.rank + 1, size) >= pageOf(next, size)) return null;
          continue;
        }
        // Runs before the mark were deleted since: what follows has moved to an earlier page.
        if (Math.max(0, got.count - mark.rank + 1) < got.start) continue;
        const items = got.items.filter(({ id }) => !ids.has(id));
        if (items.length > 0 || !got.more) return done(got, items);
        // Runs after the mark were deleted, so it is further down than it seems.
        before = { mark: (mark = markOf(got)), ids: new Set([...ids, ...got.items.map(({ id }) => id)]) };
      }
      throw new ApiError('strange', `the list of runs of the Polycrate API ${api.name} changes faster than it can be read`);
    },
  };
} // prettier-ignore

/** What is behind the last run of a page. */
function markOf({ items, count, start, size }: Looked): Mark {
  const last = items.at(-1);
  return {
    rank: count - (start + size - 1),
    ids: items.slice(-MARKED).map(({ id }) => id),
    at: last?.created_at ?? null,
  };
}

function pageOf(index: number, size: number): number {
  return Math.floor(Math.max(0, index) / size) + 1;
}

/** The mark is on this page or behind it. */
function holds({ items }: Page, mark: Mark): boolean {
  if (items.some(({ id }) => mark.ids.includes(id))) return true;
  const first = items[0]?.created_at ?? null;
  return first !== null && mark.at !== null && first >= mark.at;
}
