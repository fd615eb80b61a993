import type { JsonObject } from '../shared/json.ts';
import type { RunAlias } from '../runs/action-run.ts';
import type { Clock } from '../shared/ports.ts';
import { MOST_ROWS, type ForeignPage, type ForeignRecord, type ForeignRun, type Mirror } from './mirror.ts';
import { valuesOf, type MirroredRow } from './mirrored-row.ts';
import { blankRecord } from './mirrored-run.ts';

export interface RejoinPorts {
  mirror: Pick<Mirror, 'heardOf' | 'storePage'>;
  clock: Clock;
}

/**
 * What others told of a run before it came here with events of its own becomes part of it. `ids`: those of runs that
 * have come. Answers how many mirrored runs there are less. Repeating is free.
 */
export async function rejoin({ mirror, clock }: RejoinPorts, ids: readonly string[]): Promise<number> {
  const heard = await mirror.heardOf(ids);
  const before = new Set(heard.map(({ run_id }) => run_id));
  const after = new Set<string>();
  for (const page of pagesOf(heard, clock.now())) {
    for (const run_id of (await mirror.storePage(page)).run_ids) after.add(run_id);
  }
  return [...before].filter((run_id) => !after.has(run_id)).length;
}

/** The rows as their sources told them, once more. */
function pagesOf(rows: readonly MirroredRow[], at: number): ForeignPage[] {
  const places = new Map<string, MirroredRow[]>();
  for (const row of rows) {
    const place = JSON.stringify([row.source, row.endpoint]);
    places.set(place, [...(places.get(place) ?? []), row]);
  }
  return [...places.values()].flatMap((own) => {
    const { source, endpoint } = own[0]!;
    const page = { source: source as ForeignPage['source'], endpoint, at, told: false };
    return chunks(own, MOST_ROWS).map((some) => ({ ...page, rows: some.map(toldBy) }));
  });
}

/** The reverse of `partsOf`, as far as nothing was erased. */
function toldBy(row: MirroredRow): ForeignRun {
  const { aliases, ...facts } = JSON.parse(row.facts) as JsonObject & { aliases: RunAlias[] };
  const { 'log.sha256': sha256, ...values } = valuesOf(row);
  const log = facts['log'] as JsonObject | undefined;
  const record = { ...blankRecord('', 0), ...facts, ...values, ...(log && { log: { ...log, sha256: sha256 ?? null } }) };
  return { id: row.foreign_id, identifiers: aliases, record: record as unknown as ForeignRecord };
} // prettier-ignore

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) =>
    list.slice(n * size, (n + 1) * size),
  );
}
