import { randomUUID } from 'node:crypto';
import type { CallFilters, CallPage, CallQuery, RecordedCall, Trail } from '../../history/trail.ts';
import { principalEnd, type CallsEvent } from '../../runs/trail-event.ts';
import { AppError } from '../../shared/errors.ts';
import type { Database } from './database.ts';
import { plain } from './plain-text.ts';
import { callsDocumentOf } from './projection.ts';
import { problemOf, SCHEMA_VERSION } from './schema.ts';

const RECORD = 'SELECT ledger_record_calls($1, $2) AS newer';
const NAMES = {
  tool: 'SELECT DISTINCT tool AS value FROM calls ORDER BY value LIMIT $1',
  principal: `SELECT subject AS value FROM calls WHERE subject IS NOT NULL
    UNION SELECT display FROM calls WHERE display IS NOT NULL ORDER BY value LIMIT $1`,
};

export function createTrail({ read, write }: Pick<Database, 'read' | 'write'>): Trail {
  return {
    async append(event: CallsEvent) {
      const values = [SCHEMA_VERSION, callsDocumentOf(event, randomUUID())];
      const [row] = await write<{ newer: number | null }>(RECORD, values);
      if (row!.newer === null) return;
      throw new AppError('ledger_unavailable', `calls are not recorded: ${problemOf(row!.newer)}`);
    },
    search: async (query) => pageOf(await read<PageRow>(SEARCH, valuesOf(query)), query.limit),
    async names(column, limit) {
      return (await read<{ value: string }>(NAMES[column], [limit])).map(({ value }) => value);
    },
  };
}

const FILTER = `($1::bigint IS NULL OR at >= $1) AND ($2::bigint IS NULL OR at < $2)
  AND ($3::text[] IS NULL OR tool = ANY($3)) AND ($4::text[] IS NULL OR outcome = ANY($4))
  AND ($5::text[] IS NULL OR subject = ANY($5) OR display = ANY($5))
  AND ($6::text IS NULL OR subject = $6 AND right(principal, length($7::text)) = $7)`;

/** One statement, so that total and page are of one moment; one row without an id where the page is empty. */
const SEARCH = `SELECT counted.total, page.* FROM (SELECT count(*) AS total FROM calls WHERE ${FILTER}) AS counted
  LEFT JOIN (
    SELECT id, at, tool, outcome, code, duration_ms, run_id, principal, client, arguments FROM calls
    WHERE ${FILTER} AND ($8::bigint IS NULL OR (at, id) < ($8, $9))
    ORDER BY at DESC, id DESC LIMIT $10
  ) AS page ON true ORDER BY page.at DESC, page.id DESC`;

function valuesOf({ filters, after, limit }: CallQuery): unknown[] {
  const { span, tool, outcome, principal, own }: CallFilters = filters;
  const lists = [tool, outcome, principal].map((list) => list?.map(plain) ?? null);
  const same = own ? [plain(own.subject).toLowerCase(), plain(principalEnd(own))] : [null, null];
  return [span.since, span.until, ...lists, ...same, after?.at ?? null, after?.id ?? null, limit + 1];
}

type PageRow = { total: number } & (RecordedCall | { id: null });

function pageOf(rows: readonly PageRow[], limit: number): CallPage {
  const found = rows.flatMap(({ total: _, ...call }) => (call.id === null ? [] : [call]));
  const calls = found.slice(0, limit);
  const last = calls.at(-1);
  const next = found.length > limit && last ? { at: last.at, id: last.id } : null;
  return { calls, total: rows[0]!.total, next };
}
