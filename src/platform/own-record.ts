import type { ActionRun } from '../runs/action-run.ts';
import { isObject } from '../shared/json.ts';
import { ApiError } from './api-error.ts';
import type {
  CallOptions,
  PolycrateApi,
  RemoteRecord,
  RemoteRun,
  RemoteRunDetail,
  ReportedBlock,
} from './polycrate-api.ts';
import { METADATA, RUN_LABEL } from './report.ts';

const PAGE = 100;
const MOST_PAGES = 50;
/** The API's clock may be off by this much more than its answers say, and it stores times as it likes. */
const LEEWAY_MS = 2 * 60_000;
const SAME_TIME_MS = 2_000;

/** The id of our run that a record names; null: it is not of this program. */
export function ownRunId({ block_labels, metadata }: RemoteRunDetail): string | null {
  const ours = metadata?.[METADATA];
  const id = block_labels?.[RUN_LABEL] ?? (isObject(ours) ? ours['run_id'] : undefined);
  return typeof id === 'string' ? id : null;
}

/** True: the record has the end that we report. */
export function isFinishedByUs(record: RemoteRunDetail, run_id: string): boolean {
  const ours = record.metadata?.[METADATA];
  return isClosed(record) && isObject(ours) && ours['run_id'] === run_id;
}

export function isClosed({ status }: Pick<RemoteRun, 'status'>): boolean {
  return status !== 'pending' && status !== 'running';
}

export interface Sought {
  run: ActionRun;
  place: ReportedBlock;
  /** When the request whose answer was lost was sent first, by our clock. */
  since: number;
}

/** The record that a request made although its answer was lost. Null: there is none, so it may be repeated. */
export async function findOwnRecord(
  api: PolycrateApi,
  { run, place, since }: Sought,
  options: CallOptions,
): Promise<(RemoteRecord & { closed: boolean }) | null> {
  const ids = await idsOf(api, place, options);
  if (!ids) return null;
  const oldest = since + api.skew_ms() - LEEWAY_MS;
  const seen = new Set<string>();
  for (let page = 1; page <= MOST_PAGES; page++) {
    const found = await api.runs({ block: ids.block, page, page_size: PAGE }, options);
    for (const candidate of found.items) {
      // Pages move while records are added, so one may come twice.
      if (seen.has(candidate.id) || !mayBe(candidate, run)) continue;
      seen.add(candidate.id);
      const detail = await api.run(candidate.id, options);
      if (ownRunId(detail) === run.id) {
        const { id, url } = candidate;
        return { id, url, closed: isClosed(detail) };
      }
    }
    const last = found.items.at(-1)?.created_at;
    if (!found.more || (typeof last === 'number' && last < oldest)) return null;
  }
  throw new ApiError('unclear', `the Polycrate API ${api.name} has too many runs of ${place.block} to look for ours`);
} // prettier-ignore

/** What has another action, or was started at another time, is not opened. */
function mayBe({ action, started_at }: RemoteRun, run: ActionRun): boolean {
  if (action !== null && action !== run.action) return false;
  const own = run.started_at ?? run.requested_at;
  return started_at === null || Math.abs(started_at - own) <= SAME_TIME_MS;
}

/** Null: the API does not know the block, so it made no record of it. */
async function idsOf(
  api: PolycrateApi,
  place: ReportedBlock,
  options: CallOptions,
): Promise<{ block: string } | null> {
  try {
    return await api.find(place, options);
  } catch (error) {
    if (error instanceof ApiError && error.fault === 'not_found') return null;
    throw error;
  }
}
