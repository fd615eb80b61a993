import type { ServerResponse } from 'node:http';
import type { Identity } from '../../access/identity.ts';
import type { Ingest } from '../../platform/ingest/ingest.ts';
import { outputOf } from '../../platform/report.ts';
import { AppError } from '../../shared/errors.ts';
import type { Services } from '../../tools/services.ts';
import { servicesFor } from '../../tools/services-for.ts';
import { readJson } from '../http/body.ts';
import type { AuthedRequest } from '../http/sessions.ts';
import { API_PREFIX, notFound, refusal, refusalOf, refused, sendReply, type Reply } from './answers.ts';
import { catalogueOf, type Catalogue } from './catalogue.ts';
import { detailReply, listReply } from './lists.ts';
import { pageReply, pagingOf } from './paging.ts';
import { finishReply, startReply, wholeReply } from './reports.ts';
import { arrived, recordRefusal } from './record-refusal.ts';
import { createRunPagers, runListQuery } from './run-list.ts';
import { runDetail, runItem } from './shapes.ts';

/** A report has the whole output of a run in it. */
const MOST_REPORT_BYTES = 16 * 1024 * 1024;

export interface PlatformApiParts {
  services: Services;
  ingest: Ingest;
  /** How clients reach this server; links are made from it. */
  origin: string;
}

export interface PlatformApi {
  handle(request: AuthedRequest, response: ServerResponse, identity: Identity): Promise<void>;
}

interface Asked {
  identity: Identity;
  services: Services;
  url: URL;
  /** The id in the path, or empty. */
  id: string;
  body: unknown;
}

interface Route {
  method: 'GET' | 'POST';
  pattern: RegExp;
  answer(asked: Asked): Promise<Reply>;
}

const ID = '([0-9a-fA-F-]{36})';
const path = (rest: string): RegExp => new RegExp(`^${API_PREFIX}${rest}/$`);

export function createPlatformApi({ services: whole, ingest, origin }: PlatformApiParts): PlatformApi {
  const urlOf = (run_id: string): string => new URL(`${API_PREFIX}action-runs/${run_id}/`, origin).href;
  const reports = { ingest, urlOf };
  const pagers = createRunPagers();

  const runs = async ({ services, url }: Asked): Promise<Reply> => {
    const paging = pagingOf(url.searchParams);
    if ('status' in paging) return paging;
    const query = runListQuery(url.searchParams, await catalogueFor(services, url), services.clock.now());
    if ('faults' in query) return refusal(400, query.faults);
    const { count, runs: found } = await pagers(services.history, services.scope).page(query, paging);
    return pageReply(paging, { count, results: found.map((run) => runItem(run, { urlOf })) }, url);
  };
  const run = async ({ services, id }: Asked): Promise<Reply> => {
    const found = await services.ledger.find(id.toLowerCase());
    if (!found) return notFound();
    const [stdout, stderr] = await Promise.all([
      outputOf(services.logs, found, 'stdout'),
      outputOf(services.logs, found, 'stderr'),
    ]);
    return { status: 200, value: runDetail(found, { stdout, stderr }, { urlOf }) };
  };
  const places = (kind: 'organizations' | 'workspaces' | 'blocks'): Route[] => [
    {
      method: 'GET',
      pattern: path(kind),
      answer: async ({ services, url }) => listReply(kind, await catalogueOf(services), url),
    },
    {
      method: 'GET',
      pattern: path(`${kind}/${ID}`),
      answer: async ({ services, id }) => detailReply(kind, await catalogueOf(services), id),
    },
  ];
  const routes: readonly Route[] = [
    { method: 'POST', pattern: path('cli/action-runs'), answer: ({ identity, body }) => wholeReply(reports, identity, body) },
    { method: 'POST', pattern: path('cli/action-runs/start'), answer: ({ identity, body }) => startReply(reports, identity, body) },
    { method: 'POST', pattern: path(`cli/action-runs/${ID}/finish`), answer: ({ identity, id, body }) => finishReply(reports, identity, { id: id.toLowerCase(), body }) },
    { method: 'GET', pattern: path('action-runs'), answer: runs },
    { method: 'GET', pattern: path(`action-runs/${ID}`), answer: run },
    ...places('organizations'),
    ...places('workspaces'),
    ...places('blocks'),
  ];

  const reportReply = async (request: AuthedRequest, route: Route, asked: Omit<Asked, 'body'>): Promise<Reply> => {
    const body = await readJson(request, MOST_REPORT_BYTES);
    const given = 'value' in body ? body.value : null;
    const entry = arrived(whole.recorder, { ...asked, pathname: asked.url.pathname, body: given });
    const reply = 'value' in body ? await answered(route.answer({ ...asked, body: given })) : refusalOf(body);
    await recordRefusal(entry, reply);
    return reply;
  };

  return {
    async handle(request, response, identity) {
      const url = new URL(request.url ?? '/', origin);
      const known = routes.filter(({ pattern }) => pattern.test(url.pathname));
      const route = known.find(({ method }) => method === request.method);
      if (!route) return sendReply(response, nothing(url.pathname, known));
      const [, id = ''] = route.pattern.exec(url.pathname)!;
      const asked = { identity, services: servicesFor(whole, identity), url, id };
      const reply = route.method === 'GET' ? await answered(route.answer({ ...asked, body: null })) : await reportReply(request, route, asked);
      sendReply(response, { ...reply, value: whole.redaction.json(reply.value) });
    },
  };
} // prettier-ignore

function nothing(pathname: string, known: readonly Route[]): Reply {
  const [{ method: allowed } = { method: null }] = known;
  if (allowed) {
    const { status, value } = refused(405, 'method_not_allowed', `This address takes ${allowed}.`);
    return { status, value, headers: { Allow: allowed } };
  }
  return notFound(
    pathname.endsWith('/') ? 'Not found.' : 'Not found. Addresses of this API end with a slash.',
  );
}

/** Without a filter by ids nothing has to be looked up. */
async function catalogueFor(services: Services, { searchParams }: URL): Promise<Catalogue> {
  const byId = ['organizations', 'workspaces', 'blocks'].some((name) => searchParams.get(name));
  return byId ? await catalogueOf(services) : { organizations: [], workspaces: [], blocks: [] };
}

/** What nobody did wrong: the ledger cannot be written or read now. */
async function answered(reply: Promise<Reply>): Promise<Reply> {
  try {
    return await reply;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'ledger_unavailable') throw error;
    const { status, value } = refused(503, 'error', `Nothing was recorded: ${error.message}`);
    return { status, value, headers: { 'Retry-After': '5' } };
  }
}
