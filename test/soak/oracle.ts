import { faultsOf } from '../support/recheck-chain.ts';
import type { Traces } from '../support/traces.ts';
import { CHATTY_LINES, witnesses, type Witness } from './actions.ts';
import type { Book } from './book.ts';
import type { Kills } from './kills.ts';
import type { SoakPlace } from './place.ts';

/** Each is a promise; each entry says where it was broken. */
export interface Verdict {
  'without intent': string[];
  'facts lost': string[];
  'launched twice': string[];
  'wrong ends': string[];
  'left behind': string[];
  'chain broken': string[];
  'errors': string[];
  /** Runs of the ledger, and those of them that really began. */
  runs: number;
  executed: number;
} // prettier-ignore

export const PROMISES = ['without intent', 'facts lost', 'launched twice', 'wrong ends', 'left behind', 'chain broken', 'errors'] as const; // prettier-ignore

/** One run: as the ledger has it, as the action saw itself, as the engine saw its container. */
interface Case {
  id: string;
  record: any;
  kinds: string[];
  witness: Witness;
  engine: { starts: number; codes: number[] };
}

interface Evidence {
  book: Book;
  kills: Kills;
  verified: string | null;
  left: Traces;
}

/** Compares what the ledger says with what others saw, by raw reads of its tables. */
export async function judge(
  place: SoakPlace,
  { book, kills, verified, left }: Evidence,
): Promise<Verdict> {
  const events = await place.rows('SELECT * FROM @events ORDER BY seq');
  const cases = casesOf(place, { events, records: await place.rows('SELECT id, record FROM @runs') });
  const known = new Map(cases.map((one) => [one.id, one]));
  const began = cases.filter(hasBegun);
  return {
    'without intent': began.filter(({ kinds }) => kinds[0] !== 'run_requested').map(({ id }) => id),
    'facts lost': factsLost(book, known),
    'launched twice': launchedTwice(book, cases),
    'wrong ends': cases.flatMap((one) => wrongEnd(one, { place, kills })),
    'left behind': [
      ...Object.values(left).flat(),
      ...(await place.rows('SELECT run_id FROM @leases')).map(({ run_id }) => `lease of ${run_id}`),
    ],
    'chain broken': [
      ...faultsOf(events, await place.rows('SELECT * FROM @event_private')),
      ...(verified === null ? [] : [verified]),
    ],
    errors: book.surprises,
    runs: cases.filter(({ record }) => record !== null).length,
    executed: began.length,
  };
} // prettier-ignore

function casesOf(place: SoakPlace, { events, records }: { events: any[]; records: any[] }): Case[] {
  const seen = witnesses(place.workspace.path);
  const told = (place.engine?.told ?? []).map(({ action, attributes }) => ({
    action,
    id: attributes['polycrate-mcp.run']!,
    code: Number(attributes['exitCode']),
  }));
  const byId = new Map(records.map(({ id, record }) => [id as string, JSON.parse(record)]));
  const ids = new Set([...byId.keys(), ...seen.keys(), ...told.map(({ id }) => id)]);
  return [...ids].map((id) => {
    const own = told.filter((event) => event.id === id);
    return {
      id,
      record: byId.get(id) ?? null,
      kinds: events.filter(({ run_id }) => run_id === id).map(({ kind }) => kind),
      witness: seen.get(id) ?? { starts: 0, ends: [] },
      engine: {
        starts: own.filter(({ action }) => action === 'start').length,
        codes: own.filter(({ action }) => action === 'die').map(({ code }) => code),
      },
    };
  });
}

function hasBegun({ witness, engine }: Case): boolean {
  return witness.starts > 0 || engine.starts > 0;
}

function factsLost(book: Book, known: Map<string, Case>): string[] {
  const unnamed = [...book.named].filter((id) => !known.get(id)?.record).map((id) => `run ${id}`);
  const changed = book.ends.filter(({ run_id, status, exit_code, duration_ms }) => {
    const record = known.get(run_id)?.record;
    return record?.status !== status || record.exit_code !== exit_code || record.duration_ms !== duration_ms;
  });
  return [...unnamed, ...changed.map((end) => `told ${JSON.stringify(end)}`)];
}

function launchedTwice({ asks }: Book, cases: readonly Case[]): string[] {
  const twice = cases
    .filter(({ witness, engine }) => witness.starts > 1 || engine.starts > 1)
    .map(({ id }) => `run ${id} executed more than once`);
  const repeated = asks.flatMap(({ reason, told }) => {
    const runs = cases.filter(({ record }) => record?.reason === reason);
    if (runs.length <= 1 && told.size <= 1) return [];
    return [`${reason} has the runs ${runs.map(({ id }) => id).join(', ')}; told: ${[...told].join(', ')}`];
  });
  return [...twice, ...repeated];
}

function wrongEnd(one: Case, { place, kills }: { place: SoakPlace; kills: Kills }): string[] {
  const { id, record, kinds, witness, engine } = one;
  if (!record) return [];
  const { status, exit_code, launched, log, action } = record;
  const wrong = (why: string): string[] => [
    `${id} ${action}: ${why}; ${JSON.stringify({ status, exit_code, launched, reason: record.status_reason, kinds, witness, engine })}`,
  ];
  if (status === 'pending' || status === 'running') return wrong('is still open');
  if (kinds.filter((kind) => kind === 'run_finished').length !== 1) return wrong('has not one end');
  if (status === 'unknown') {
    const excused = place.executor === 'local' && kills.unwatched.has(id);
    return excused && exit_code === null ? [] : wrong('its end could be seen');
  }
  if (!launched) return hasBegun(one) ? wrong('did run') : exit_code === null ? [] : wrong('has an exit code');
  if (!hasBegun(one) && status !== 'cancelled') return wrong('did not run');
  const codes = [...witness.ends, ...engine.codes];
  if (codes.some((code) => code !== exit_code)) return wrong('ended otherwise');
  const asked = kinds.includes('run_cancel_requested');
  const statuses = [exit_code === 0 ? 'success' : 'failed', ...(asked ? ['cancelled'] : [])];
  if (!statuses.includes(status)) return wrong('has the wrong status');
  const whole = action !== 'chatty' || exit_code !== 4 || (log?.lines === CHATTY_LINES && log.gap === null);
  return whole ? [] : wrong(`has lost lines: ${JSON.stringify(log)}`);
} // prettier-ignore
