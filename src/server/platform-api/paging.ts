import { notFound, refusal, type Reply } from './answers.ts';

/** `page` and `page_size` of a list (polycrate-api facts 1.5). */
export interface Paging {
  /** From 1. */
  page: number;
  size: number;
}

const USUAL_SIZE = 25;
const MOST_SIZE = 100;
/** Far beyond any history; keeps arithmetic exact. */
const MOST_PAGE = 1_000_000_000;

export function pagingOf(query: URLSearchParams): Paging | Reply {
  const size = query.get('page_size') ?? String(USUAL_SIZE);
  if (!/^[1-9][0-9]{0,8}$/.test(size)) {
    return refusal(400, [{ code: 'invalid', detail: 'A whole number from 1 on.', attr: 'page_size' }]);
  }
  const page = query.get('page') ?? '1';
  if (!/^[1-9][0-9]{0,9}$/.test(page) || Number(page) > MOST_PAGE) return notFound('Invalid page.');
  return { page: Number(page), size: Math.min(Number(size), MOST_SIZE) };
}

interface Page {
  count: number;
  results: readonly unknown[];
}

/** One page with links to those beside it; a page behind the end does not exist. */
export function pageReply({ page, size }: Paging, { count, results }: Page, url: URL): Reply {
  if (page > 1 && (page - 1) * size >= count) return notFound('Invalid page.');
  const link = (to: number): string => {
    const other = new URL(url);
    other.searchParams.set('page', String(to));
    return other.href;
  };
  return {
    status: 200,
    value: {
      count,
      next: page * size < count ? link(page + 1) : null,
      previous: page > 1 ? link(page - 1) : null,
      results,
    },
  };
}
