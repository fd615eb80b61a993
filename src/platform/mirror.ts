import type { Mirror, PageStored, SyncStanding } from '../ledger/mirror.ts';
import { messageOf } from '../shared/errors.ts';
import type { Environment } from '../workspaces/workspace.ts';
import type { Log } from '../shared/ports.ts';
import { ApiError } from './api-error.ts';
import { isCatalogue, type Catalogues } from './catalogue.ts';
import { createHealth, type EndpointHealth } from './endpoint-health.ts';
import type { ApiDirectory, ApiEndpoint } from './endpoints.ts';
import { syncEndpoint, type MirrorEndpointPorts, type Synced } from './mirror-endpoint.ts';
import type { PolycrateApi } from './polycrate-api.ts';
import { readPosition, type Backfill, type MirrorPosition } from './mirror-position.ts';

export interface MirrorPorts extends Omit<MirrorEndpointPorts, 'mirror' | 'environmentOf'> {
  /** Environments that workspaces on this host have, by `organization/name`. */
  environments(): Promise<ReadonlyMap<string, Environment>>;
  catalogues: Catalogues;
  mirror: Mirror;
  apis: Pick<ApiDirectory, 'setup' | 'open'>;
  backfill: Backfill;
  /** How old a history answer may be before it looks for news. */
  max_age_ms: number;
  log: Log;
  random(): number;
}

export interface EndpointSynced {
  endpoint: string;
  added: number;
  changed: number;
  /** Null: it went well. */
  problem: string | null;
  outcome: Synced['outcome'] | 'failed';
}

/** Everybody's runs at the Polycrate APIs, brought into the ledger. */
export interface ApiMirror {
  /** Syncs now and then from now on. */
  run(): void;
  /** Before an answer from history: looks for news if what is here is too old, and waits for them, but not for long. */
  refresh(): Promise<void>;
  /** Now and whole, also what is left of the backfill. */
  sync(options?: {
    sweep?: boolean;
    onPage?(endpoint: string, position: MirrorPosition): void;
  }): Promise<EndpointSynced[]>;
  /** The standings of all sources, those of the APIs with what an answer has to tell of them. */
  standings(all: readonly SyncStanding[]): Promise<SyncStanding[]>;
  /** Ends with the page that is under way. */
  close(): Promise<void>;
}

interface SyncWish {
  sweep?: boolean;
  onPage?(position: MirrorPosition): void;
}

const WAIT_MS = 2_000;
const SHORTEST_TIMER_MS = 5_000;

export function createApiMirror(ports: MirrorPorts): ApiMirror {
  const { apis, backfill, clock, mirror, log } = ports;
  const stopping = new AbortController();
  const health = new Map<string, EndpointHealth>();
  const healthOf = (name: string): EndpointHealth => health.get(name) ?? health.set(name, createHealth()).get(name)!;
  const going = new Map<string, { fresh: Promise<void>; whole: Promise<EndpointSynced> }>();
  let loop: Promise<void> | null = null;

  const failed = async (name: string, error: unknown, since: number): Promise<string> => {
    const says = messageOf(error);
    const fault = error instanceof ApiError ? error : null;
    healthOf(name).failed({
      fault: fault?.fault ?? 'unclear', says, now: clock.now(), random: ports.random(), retry_after_ms: fault?.retry_after_ms ?? null,
    });
    log('warn', 'runs of a Polycrate API could not be mirrored', { endpoint: name, error: says });
    await mirror.failed('api', name, { at: since, says }).catch(() => undefined);
    return says;
  };

  /** A key that may not see workspaces or blocks may still see runs. */
  const tolerant = async (refresh: () => Promise<void>): Promise<void> => {
    await refresh().catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.fault === 'unreachable' || error.fault === 'credentials') throw error;
      log('warn', 'workspaces and blocks of a Polycrate API could not be read', { error: messageOf(error) });
    });
  };

  /** As workspaces here say it, else by the purpose that the API knows. */
  const environmentsAt = async (api: PolycrateApi): Promise<MirrorEndpointPorts['environmentOf']> => {
    await tolerant(() => ports.catalogues.refreshWorkspaces(api, { signal: stopping.signal }));
    const [here, { workspaces }] = await Promise.all([ports.environments(), ports.catalogues.of(api.name)]);
    const there = new Map(workspaces.map(({ organization, name, purpose }) => [`${organization ?? '-'}/${name}`, purpose]));
    return (organization, workspace) => {
      const address = `${organization ?? '-'}/${workspace}`;
      const purpose = there.get(address) ?? null;
      return here.get(address) ?? (purpose === null ? null : { value: purpose, origin: 'api' });
    };
  };

  const sync = async (name: string, onFresh: () => void, { sweep = false, onPage }: SyncWish): Promise<EndpointSynced> => {
    const done = { endpoint: name, added: 0, changed: 0 };
    const count = (stored: PageStored, position: MirrorPosition): void => {
      done.added += stored.added;
      done.changed += stored.changed + stored.joined;
      onPage?.(position);
    };
    const before = await mirror.standing('api', name).catch(() => null);
    try {
      const api = (await apis.open(name))!;
      const environmentOf = await environmentsAt(api);
      const { outcome } = await syncEndpoint(api, { ...ports, environmentOf }, { backfill, sweep, signal: stopping.signal, onFresh, onPage: count });
      if (outcome === 'done') {
        healthOf(name).ok(clock.now());
        await tolerant(() => ports.catalogues.refreshBlocks(api, { signal: stopping.signal }));
      }
      return { ...done, outcome, problem: null };
    } catch (error) {
      if (stopping.signal.aborted) return { ...done, outcome: 'stopped', problem: null };
      const problem = await failed(name, error, before?.problem?.at ?? clock.now());
      return { ...done, outcome: 'failed', problem };
    }
  };

  /** One sync of an endpoint at a time; who comes later waits for the same. */
  const begin = (name: string, wish: SyncWish = {}): { fresh: Promise<void>; whole: Promise<EndpointSynced> } => {
    const there = going.get(name);
    if (there) return there;
    let arrived = (): void => undefined;
    const fresh = new Promise<void>((resolve) => (arrived = resolve));
    const whole = sync(name, arrived, wish).finally(() => {
      going.delete(name);
      arrived();
    });
    going.set(name, { fresh, whole });
    return { fresh, whole };
  };

  const mirrored = async (): Promise<readonly ApiEndpoint[]> => (backfill.kind === 'off' ? [] : (await apis.setup()).endpoints);

  const ageOf = async (name: string): Promise<number> => {
    const { fresh_at } = readPosition((await mirror.standing('api', name))?.position);
    return fresh_at === null ? Infinity : clock.now() - fresh_at;
  };

  /** Begins what is due; resolves with what was begun. */
  const due = async (max_age_ms: number): Promise<{ fresh: Promise<void>; whole: Promise<EndpointSynced> }[]> => {
    const begun = [];
    for (const { name } of await mirrored()) {
      if (healthOf(name).paused(clock.now()) || stopping.signal.aborted) continue;
      if (going.has(name) || (await ageOf(name)) > max_age_ms || (await isUnfinished(name))) begun.push(begin(name));
    }
    return begun;
  };

  /** Something older is still missing, and nobody reads it. */
  const isUnfinished = async (name: string): Promise<boolean> =>
    readPosition((await mirror.standing('api', name))?.position).gaps.length > 0;

  const follow = async (): Promise<void> => {
    const pause = Math.max(SHORTEST_TIMER_MS, ports.max_age_ms);
    while (!stopping.signal.aborted) {
      const begun = await due(ports.max_age_ms / 2).catch((error: unknown) => {
        log('warn', 'Polycrate APIs could not be looked at', { error: messageOf(error) });
        return [];
      });
      await Promise.all(begun.map(({ whole }) => whole));
      await clock.sleep(pause, stopping.signal);
    }
  };

  return {
    run: () => void (loop ??= backfill.kind === 'off' ? Promise.resolve() : follow()),
    async refresh() {
      const begun = await due(ports.max_age_ms);
      if (begun.length === 0) return;
      const waited = new AbortController();
      await Promise.race([Promise.all(begun.map(({ fresh }) => fresh)), clock.sleep(WAIT_MS, waited.signal)]).finally(() => waited.abort());
    },
    async sync({ sweep = false, onPage } = {}) {
      const results: EndpointSynced[] = [];
      for (const { name } of await mirrored()) results.push(await begin(name, { sweep, onPage: (position) => onPage?.(name, position) }).whole);
      return results;
    },
    async standings(all) {
      const { endpoints } = await apis.setup();
      const others = all.filter(
        ({ source, endpoint }) => source !== 'api' || !(isCatalogue(endpoint) || endpoints.some(({ name }) => name === endpoint)),
      );
      const own = endpoints.map((endpoint) => {
        const standing = all.find((one) => one.source === 'api' && one.endpoint === endpoint.name);
        return standingOf(endpoint, standing ?? null, backfill);
      });
      return [...others, ...own];
    },
    async close() {
      stopping.abort();
      await Promise.allSettled([loop, ...[...going.values()].map(({ whole }) => whole)]);
    },
  };
} // prettier-ignore

function standingOf(
  { name, submit }: ApiEndpoint,
  standing: SyncStanding | null,
  backfill: Backfill,
): SyncStanding {
  const blank: SyncStanding = {
    source: 'api', endpoint: name, position: null, runs: 0, oldest: null, newest: null, success_at: null, problem: null, missing: null,
  }; // prettier-ignore
  const known = standing ?? blank;
  const { fresh_at } = readPosition(known.position);
  const parts = [
    ...(backfill.kind === 'off'
      ? ['runs are not mirrored (POLYCRATE_MCP_MIRROR_BACKFILL=off)']
      : fresh_at === null
        ? ['not all runs that are new have been read yet']
        : []),
    ...(known.missing === null ? [] : [known.missing]),
    ...(submit ? [] : ['runs of this server are not reported to it']),
  ];
  return { ...known, success_at: fresh_at, missing: parts.length === 0 ? null : parts.join('; ') };
}
