import type { ForeignRun, Mirror, PageStored, RowSeen } from '../ledger/mirror.ts';
import { AppError } from '../shared/errors.ts';
import type { Json } from '../shared/json.ts';
import type { Clock, ProcessTable } from '../shared/ports.ts';
import { createPages, type PlacedPage, type Pages } from './mirror-pages.ts';
import {
  isClaimed,
  limitText,
  MOST_OPEN,
  missingOf,
  readPosition,
  type Backfill,
  type Gap,
  type Head,
  type Mark,
  type MirrorPosition,
} from './mirror-position.ts';
import { isSweepDue, SWEEP_PAGES, spanOf, suspects } from './mirror-sweep.ts';
import { createRunReader, printOf, type RunReader, type RunReaderPorts } from './mirror-runs.ts';
import type { PolycrateApi, RemoteRun } from './polycrate-api.ts';

export interface MirrorEndpointPorts extends RunReaderPorts {
  mirror: Pick<Mirror, 'standing' | 'storePage' | 'between'>;
  clock: Clock;
  processes: ProcessTable;
}

export interface SyncOptions {
  backfill: Backfill;
  signal: AbortSignal;
  /** Also looks through the whole list for runs that are gone, at once and not a few pages at a time. */
  sweep?: boolean;
  /** After each page. */
  onPage?(stored: PageStored, position: MirrorPosition): void;
  /** Everything new is there; what is older may still be coming. */
  onFresh?(): void;
}

export type Synced =
  | { outcome: 'done' }
  /** Another process is at it. */
  | { outcome: 'elsewhere' }
  | { outcome: 'stopped' };

const CLAIM_MS = 60_000;
const HEAD_IDS = 50;
/** Open runs that one sync asks for again. */
const OPEN_AT_ONCE = 50;

/**
 * One sync of one API: what is new first, then runs that were open, then what is still missing of older ones. Each page
 * is stored together with the position behind it, so that a crash repeats a page and never skips one. Rejects when
 * the API or the ledger does.
 */
export async function syncEndpoint(api: PolycrateApi, ports: MirrorEndpointPorts, options: SyncOptions): Promise<Synced> {
  const { mirror, clock, processes } = ports;
  if (isClaimed(readPosition((await mirror.standing('api', api.name))?.position), ports)) return { outcome: 'elsewhere' };
  const call = { signal: options.signal };
  const pages = createPages(api, call);
  const began = clock.now();
  // Before anything is stored, because a page that is stored says that the API answers.
  const first = await pages.first();
  let stored: Json = (await mirror.standing('api', api.name))?.position ?? null;
  const position = { ...readPosition(stored) };
  if (isClaimed(position, ports)) return { outcome: 'elsewhere' };
  const sync = new EndpointSync(await createRunReader(api, ports), pages, position, {
    options,
    async store(rows) {
      const at = clock.now();
      if (position.claim) position.claim = { ...position.claim, until: at + CLAIM_MS };
      const page = { source: 'api' as const, endpoint: api.name, at, rows, position: JSON.parse(JSON.stringify(position)) as Json };
      const done = await mirror.storePage({ ...page, expected: stored, missing: missingOf(position) });
      stored = page.position;
      options.onPage?.(done, position);
    },
    known: (span) => mirror.between({ source: 'api', endpoint: api.name }, span),
    oldest: options.backfill.kind === 'age' ? clock.now() + api.skew_ms() - options.backfill.ms : null,
  });
  try {
    position.claim = { owner: processes.self(), until: clock.now() + CLAIM_MS };
    await sync.claim();
    await sync.newest(first);
    await sync.open();
    if (await sync.news()) {
      position.fresh_at = began;
      await sync.claim();
      options.onFresh?.();
    }
    await sync.backfill();
    await sync.sweep({ whole: options.sweep === true, now: () => clock.now() });
    return { outcome: options.signal.aborted ? 'stopped' : 'done' };
  } catch (error) {
    if (error instanceof AppError && error.code === 'lease_lost') return { outcome: 'elsewhere' };
    throw error;
  } finally {
    await sync.release();
  }
} // prettier-ignore

interface SyncWork {
  options: SyncOptions;
  /** Stores rows and the position as it is now. */
  store(rows: readonly ForeignRun[]): Promise<void>;
  known(span: { from: number; to: number }): Promise<RowSeen[]>;
  /** Runs that were made before are older than the backfill goes; null: there is no such limit. */
  oldest: number | null;
}

class EndpointSync {
  readonly #reader: RunReader;
  readonly #pages: Pages;
  readonly #position: MirrorPosition;
  readonly #work: SyncWork;
  /** The page that is being stored while the next one is read; never more than one. */
  #storing: Promise<void> = Promise.resolve();
  /** The page behind that mark, asked for while details of the one before are read. */
  #ahead: { mark: Mark; page: Promise<PlacedPage | null> } | null = null;

  constructor(reader: RunReader, pages: Pages, position: MirrorPosition, work: SyncWork) {
    [this.#reader, this.#pages, this.#position, this.#work] = [reader, pages, position, work];
  }

  get #stopped(): boolean {
    return this.#work.options.signal.aborted;
  }

  async claim(): Promise<void> {
    await this.#store([]);
    await this.#storing;
  }

  /** After the one before is stored, whose failure it tells. */
  async #store(rows: readonly ForeignRun[]): Promise<void> {
    await this.#storing;
    this.#storing = this.#work.store(rows);
    this.#storing.catch(() => undefined);
  }

  async #after(mark: Mark): Promise<PlacedPage | null> {
    const ahead = this.#ahead;
    this.#ahead = null;
    if (ahead?.mark === mark) return await ahead.page;
    await ahead?.page.catch(() => undefined);
    return await this.#pages.after(mark);
  }

  #askAhead(mark: Mark): void {
    const page = this.#pages.after(mark);
    page.catch(() => undefined);
    this.#ahead = { mark, page };
  }

  /** Others may go on. What keeps it from being stored keeps the rest from being stored too. */
  async release(): Promise<void> {
    await this.#storing.catch(() => undefined);
    if (this.#position.claim === null) return;
    this.#position.claim = null;
    await this.#work.store([]).catch(() => undefined);
  }

  /** The first page: runs that are new, runs that say something else than before, and runs that are gone. */
  async newest(page: PlacedPage): Promise<void> {
    const position = this.#position;
    const known = new Map(position.recent);
    const until = position.head;
    const found = until ? page.items.findIndex(({ id }) => until.ids.includes(id)) : -1;
    const fresh = found < 0 ? page.items : page.items.slice(0, found);
    const changed = found < 0 ? [] : page.items.slice(found).filter((item) => known.get(item.id) !== printOf(item));
    const shown = new Set(page.items.map(({ id }) => id));
    // As many as were pushed off the page by new ones are missing there for that reason.
    const still = found < 0 ? [] : position.recent.slice(0, Math.max(0, page.items.length - fresh.length));
    const gone = still.map(([id]) => id).filter((id) => !shown.has(id));
    const read = await this.#read(this.#within(fresh, until).concat(changed), gone);
    if (until === null) position.taken += fresh.length;
    const more = found < 0 && page.more && !this.#tooOld(page.items, until);
    if (more) position.gaps = [{ after: page.mark, until }, ...position.gaps];
    if (until === null && page.more && !more) position.floor = page.mark;
    position.head = { ids: page.items.slice(0, HEAD_IDS).map(({ id }) => id), at: page.items[0]?.created_at ?? null };
    position.recent = page.items.map((item) => [item.id, printOf(item)]);
    position.total = page.count;
    await this.#store(read);
  } // prettier-ignore

  /** Runs that were open. */
  async open(): Promise<void> {
    const position = this.#position;
    const asked = position.open.slice(0, OPEN_AT_ONCE);
    if (asked.length === 0 || this.#stopped) return;
    position.open = position.open.slice(asked.length);
    const rows = await this.#read([], asked);
    await this.#store(rows);
  }

  /** What was added since the last sync. False: it was stopped before. */
  async news(): Promise<boolean> {
    while (this.#position.gaps.some(({ until }) => until !== null)) {
      if (this.#stopped) return false;
      await this.#step(this.#position.gaps.find(({ until }) => until !== null)!);
    }
    await this.#storing;
    return !this.#stopped;
  }

  /** What is older than the first sync. */
  async backfill(): Promise<void> {
    const position = this.#position;
    const limit = limitText(this.#work.options.backfill);
    if (position.floor && position.limit !== limit) {
      position.gaps = [...position.gaps, { after: position.floor, until: null }];
      position.floor = null;
    }
    position.limit = limit;
    for (let gap = position.gaps[0]; gap && !this.#stopped; gap = position.gaps[0]) await this.#step(gap);
    await this.#storing;
  }

  /** A part of the look for runs that are gone, or all of it; nothing while it is not due. */
  async sweep({ whole, now }: { whole: boolean; now(): number }): Promise<void> {
    const position = this.#position;
    // What was just read whole needs no look.
    position.swept_at ??= position.gaps.length === 0 ? now() : null;
    if (whole ? position.gaps.length > 0 : !isSweepDue(position, now())) return;
    if (whole) position.sweep = null;
    let shown = new Set<string>();
    for (let pages = 0; (whole || pages < SWEEP_PAGES) && !this.#stopped; pages++) {
      const { sweep, floor } = position;
      const page = sweep ? await this.#pages.after(sweep.after) : await this.#pages.first();
      const span = page && spanOf(page, sweep?.at ?? null, floor?.at ?? null);
      // What is of the same instant as the end of the page before may stand there.
      const here = new Set(page?.items.map(({ id }) => id));
      const gone = span ? suspects(await this.#work.known(span), new Set([...shown, ...here])) : [];
      const at = page?.items.at(-1)?.created_at ?? sweep?.at ?? null;
      const over = !page?.more || (floor !== null && floor.at !== null && at !== null && at <= floor.at);
      position.sweep = over ? null : { after: page.mark, at };
      if (over) position.swept_at = now();
      await this.#store(await this.#read([], gone));
      if (over) break;
      shown = here;
    }
    await this.#storing;
  }

  /** One page of a gap. */
  async #step(gap: Gap): Promise<void> {
    const position = this.#position;
    const page = await this.#after(gap.after);
    const others = position.gaps.filter((other) => other !== gap);
    if (!page) {
      position.gaps = others;
      return this.#store([]);
    }
    const { until } = gap;
    const found = until ? page.items.findIndex(({ id }) => until.ids.includes(id)) : -1;
    const items = found < 0 ? page.items : page.items.slice(0, found);
    const over = (): boolean => found >= 0 || !page.more || this.#tooOld(page.items, until);
    if (!over() && !this.#stopped) this.#askAhead(page.mark);
    const rows = await this.#read(this.#within(items, until), []);
    if (until === null) position.taken += items.length;
    position.total = page.count;
    const old = this.#tooOld(page.items, until);
    if (found >= 0 || !page.more || old) position.gaps = others;
    else position.gaps = position.gaps.map((other) => (other === gap ? { after: page.mark, until } : other));
    if (until === null && old && page.more) position.floor = page.mark;
    await this.#store(rows);
  }

  /** Without runs that are older than the backfill goes. */
  #within(items: readonly RemoteRun[], until: Head | null): RemoteRun[] {
    const { oldest } = this.#work;
    if (until !== null || oldest === null) return [...items];
    return items.filter(({ created_at }) => created_at === null || created_at >= oldest);
  }

  /** Nothing that is wanted comes after these. */
  #tooOld(items: readonly RemoteRun[], until: Head | null): boolean {
    const { oldest, options } = this.#work;
    const all = (limit: number): boolean =>
      items.length > 0 && items.every(({ created_at }) => created_at !== null && created_at < limit);
    // All runs that the head names may have been deleted.
    if (until) return until.at !== null && all(until.at);
    const { backfill } = options;
    if (backfill.kind === 'runs') return this.#position.taken >= backfill.runs;
    return oldest !== null && items.some(({ created_at }) => created_at !== null && created_at < oldest);
  }

  async #read(items: readonly RemoteRun[], ids: readonly string[]): Promise<ForeignRun[]> {
    const call = { signal: this.#work.options.signal };
    const [whole, again] = [await this.#reader.details(items, call), await this.#reader.byId(ids, call)];
    const open = new Set([...this.#position.open, ...whole.again, ...again.again]);
    this.#position.open = [...open].slice(0, MOST_OPEN);
    return [...whole.rows, ...again.rows];
  }
}
