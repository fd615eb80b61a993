import { may, sees, type Identity, type Principal, type Scope } from '../access/identity.ts';
import type { ForeignSources } from '../history/sources.ts';
import type { RunFilters, RunHistory } from '../history/search.ts';
import type { Trail } from '../history/trail.ts';
import type { SeenStanding } from '../ledger/mirror.ts';
import type { Remote } from '../platform/remote.ts';
import type { SubmissionStanding } from '../platform/submit.ts';
import type { LedgerStatus, RunLedger } from '../runs/run-ledger.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { Services } from './services.ts';

/**
 * The services as they are for one identity: what it may not see does not exist in them, so that tools, resources and
 * completions need not know that there is more. Whoever sees everything gets the very same object.
 */
export function servicesFor(services: Services, identity: Identity): Services {
  const { scope, principal } = identity;
  if (scope === null && may(identity, 'admin')) return services;
  const trail = ownTrail(services.trail, principal);
  return scope === null ? over(services, { trail }) : over(services, { trail, ...within(services, scope) });
}

/** Like a copy with some members replaced, without reading the others before they are needed. */
export function over<T extends object>(whole: T, parts: Partial<T>): T {
  return Object.assign(Object.create(whole) as T, parts);
}

function within(services: Services, scope: NonNullable<Scope>): Partial<Services> {
  const history = historyWithin(services.history, scope);
  const ledger = ledgerWithin(services.ledger, { history, scope });
  const store = storeWithin(services.store, scope);
  const supervision = over(services.start.supervision, { ledger });
  const visible = ({ organization, name }: Workspace): boolean => sees(scope, { organization, workspace: name });
  return {
    scope,
    history,
    ledger,
    store,
    start: over(services.start, { store, ledger, supervision }),
    foreign: foreignWithin(services.foreign, scope),
    remote: remoteWithin(services.remote, scope),
    overview: async () => (await services.overview()).filter(visible),
    standings: async () => standingsWithin(await services.standings(), scope),
    standing: async () => statusWithin(await services.standing(), history),
    reports: async () => reportsWithin(await services.reports()),
  };
} // prettier-ignore

export function storeWithin(store: WorkspaceStore, scope: Scope): WorkspaceStore {
  return over(store, {
    async list(needed) {
      const all = await store.list(needed);
      return all.filter(({ organization, name }) => sees(scope, { organization, workspace: name }));
    },
    // They are about folders, which are nobody's in particular.
    problems: () => Promise.resolve([]),
  });
}

function historyWithin(history: RunHistory, scope: NonNullable<Scope>): RunHistory {
  return {
    search: (query) => history.search(query, scope),
    summarize: (query) => history.summarize(query, scope),
    trace: (query) => history.trace(query, scope),
    around: (query) => history.around(query, scope),
    extent: () => history.extent(scope),
    names: (column, limit) => history.names(column, limit, scope),
    missing: (wanted) => history.missing(wanted, scope),
    retriggersOf: (run_id, limit) => history.retriggersOf(run_id, limit, scope),
    ids: (prefix, limit) => history.ids(prefix, limit, scope),
  };
}

/** As long as a prefix of an id has to be, see `RunLedger.find`. */
const PREFIX = /^[0-9a-f-]{8,}$/;

function ledgerWithin(
  ledger: RunLedger,
  { history, scope }: { history: RunHistory; scope: NonNullable<Scope> },
): RunLedger {
  return over(ledger, {
    async find(id) {
      const found = await ledger.find(id);
      if (found) return sees(scope, found) ? found : null;
      if (!PREFIX.test(id)) return null;
      // It may be ambiguous only because of runs that do not exist for the asker.
      const [only, ...others] = await history.ids(id, 2);
      return only !== undefined && others.length === 0 ? await ledger.find(only) : null;
    },
  });
}

/** Of what nobody else may look at; one's own calls name what one saw. */
function ownTrail(trail: Trail, own: Principal): Trail {
  return over(trail, {
    search: (query) => trail.search({ ...query, filters: { ...query.filters, own } }),
    names: () => Promise.resolve([]),
  });
}

function foreignWithin(foreign: ForeignSources, scope: Scope): ForeignSources {
  return over(foreign, { standings: async () => standingsWithin(await foreign.standings(), scope) });
}

function remoteWithin(remote: Remote, scope: Scope): Remote {
  return over(remote, {
    workspaces: async () =>
      (await remote.workspaces()).filter(({ organization, name }) =>
        sees(scope, { organization, workspace: name }),
      ),
    blocks: async () =>
      (await remote.blocks()).filter(
        (block) => block.workspace !== null && sees(scope, { ...block, workspace: block.workspace }),
      ),
  });
}

/** Logs are of one workspace; any other source has runs of many, and only its freshness is for everybody. */
function standingsWithin(standings: readonly SeenStanding[], scope: Scope): SeenStanding[] {
  return standings.flatMap((standing) => {
    const { source, endpoint, problem, missing } = standing;
    const [organization, ...rest] = endpoint.split('/');
    if (source === 'logs') {
      const place = { organization: organization ?? null, workspace: rest.join('/') };
      return sees(scope, place) ? [standing] : [];
    }
    return [
      {
        ...standing,
        ...{ position: null, runs: null, oldest: null, newest: null },
        problem: problem && { at: problem.at, says: 'the last sync failed' },
        missing: missing && 'not everything is here yet',
      },
    ];
  });
}

const EVERYTHING: RunFilters = { span: { since: null, until: null }, time_field: 'started' };

/** Counts and times of the runs that are seen; what is said about the ledger as a whole is not for get_status to tell. */
async function statusWithin(status: LedgerStatus, history: RunHistory): Promise<LedgerStatus> {
  const count = { include_excluded: true, order: 'newest', limit: 1, after: null } as const;
  const [all, open, extent] = await Promise.all([
    history.search({ ...count, filters: EVERYTHING }),
    history.search({ ...count, filters: { ...EVERYTHING, status: ['pending', 'running'] } }),
    history.extent(),
  ]);
  return {
    ...status,
    runs: { total: all.total, open: open.total },
    newest_at: all.newest_at,
    oldest_at: extent?.oldest ?? null,
  };
}

/** The queue is of all workspaces together. */
function reportsWithin(reports: SubmissionStanding): SubmissionStanding {
  return { ...reports, waiting: 0, dead: 0, oldest_at: null, problems: [] };
}
