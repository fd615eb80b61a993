import type { ForeignRun } from '../ledger/mirror.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import type { Clock } from '../shared/ports.ts';
import { ApiError, type ApiFault } from './api-error.ts';
import { foreignRunOf, goneRun, type Known, type MappingPlace } from './mirrored-api-run.ts';
import type { CallOptions, PolycrateApi, RemoteRun, RemoteRunDetail } from './polycrate-api.ts';

export interface RunReaderPorts extends Omit<MappingPlace, 'endpoint' | 'key'> {
  ledger: Pick<RunLedger, 'find' | 'key'>;
  clock: Pick<Clock, 'now'>;
  /** Of each run that was read whole. */
  seen?(detail: RemoteRunDetail, place: string): Promise<void>;
}

export interface ReadRuns {
  rows: ForeignRun[];
  /** Runs that may still change, and runs that could not be read whole this time. */
  again: string[];
}

/** Reads runs whole: version, metadata and who are only in the detail. */
export interface RunReader {
  details(items: readonly RemoteRun[], call: CallOptions): Promise<ReadRuns>;
  /** Runs of which only the id is known any more; some may be gone. */
  byId(ids: readonly string[], call: CallOptions): Promise<ReadRuns>;
}

const AT_ONCE = 4;
/** About one run; that of its list is better than none. More of them on one page are about the API. */
const OF_ONE_RUN: readonly ApiFault[] = ['broken', 'strange', 'invalid', 'forbidden', 'not_found', 'unclear'];
const MOST_BAD = 10;

export async function createRunReader(api: PolycrateApi, ports: RunReaderPorts): Promise<RunReader> {
  const place: MappingPlace = { ...ports, endpoint: api.name, key: await ports.ledger.key('runs') };
  const rowOf = (run: Known): ForeignRun => foreignRunOf(run, place, ports.clock.now());

  /** A key instead of a person leaves no name in the run; who it was may stand in the activities. */
  const withUser = async (run: RemoteRunDetail, call: CallOptions): Promise<RemoteRunDetail> => {
    if (run.user) return run;
    const { items } = await api.activities({ object_id: run.id, page_size: 5 }, call);
    const email = items.find((item) => item.user_email !== null)?.user_email ?? null;
    return email === null ? run : { ...run, user: { id: null, username: null, email } };
  };

  const read = async (id: string, call: CallOptions): Promise<ForeignRun> => {
    const detail = await api.run(id, call);
    await ports.seen?.(detail, `the Polycrate API ${api.name}`);
    const known = await withUser(detail, call).catch((error: unknown) => {
      if (error instanceof ApiError && OF_ONE_RUN.includes(error.fault)) return detail;
      throw error;
    });
    return rowOf(known);
  };

  const gone = async (id: string): Promise<ForeignRun | null> => {
    const run = await ports.ledger.find(id);
    return run && goneRun(run, id, { endpoint: api.name, at: ports.clock.now() });
  };

  return {
    async details(items, call) {
      let bad = 0;
      const again: string[] = [];
      const rows = await each(items, async (item) => {
        try {
          const row = await read(item.id, call);
          if (isOpenRow(row)) again.push(item.id);
          return row;
        } catch (error) {
          if (!isOfOneRun(error) || (bad += 1) > MOST_BAD) throw error;
          if (error.fault !== 'not_found') again.push(item.id);
          return rowOf(error.fault === 'not_found' ? { ...item, is_deleted: true } : item);
        }
      });
      return { rows, again };
    },
    async byId(ids, call) {
      const again: string[] = [];
      let bad = 0;
      const rows = await each(ids, async (id) => {
        try {
          const row = await read(id, call);
          if (isOpenRow(row)) again.push(id);
          return row;
        } catch (error) {
          if (!isOfOneRun(error) || (bad += 1) > MOST_BAD) throw error;
          if (error.fault === 'not_found') return gone(id);
          again.push(id);
          return null;
        }
      });
      return { rows: rows.filter((row) => row !== null), again };
    },
  };
} // prettier-ignore

function isOfOneRun(error: unknown): error is ApiError {
  return error instanceof ApiError && OF_ONE_RUN.includes(error.fault);
}

function isOpenRow({ record: { status, api } }: ForeignRun): boolean {
  return (status === 'pending' || status === 'running') && api?.gone === undefined;
}

/** In order, a few at a time; the first failure ends it. */
async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        results[index] = await work(items[index]!);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}

/** What a list says of a run that may change. */
export function printOf({ status, exit_code, finished_at }: RemoteRun): string {
  return `${status} ${exit_code} ${finished_at}`;
}
