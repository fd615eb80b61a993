import type { z } from 'zod';
import { ApiError } from '../../platform/api-error.ts';
import type { CallOptions, ListFilters, PolycrateApi, RemotePage } from '../../platform/polycrate-api.ts';
import { createNames } from './names.ts';
import * as shape from './shapes.ts';
import { createTransport, type Reply, type Request, type TransportOptions } from './transport.ts';

export type { Proxies } from './dispatcher.ts';

export interface ApiOptions extends Omit<TransportOptions, 'api'> {
  name: string;
}

const RUNS = 'action-runs';
/** Answers with a whole log are larger than any other. */
const MOST_LOG_BYTES = 80 * 1024 * 1024;

/** A Polycrate API over HTTP. Nothing is loaded or connected before the first call. */
export function createPolycrateApi(options: ApiOptions): PolycrateApi {
  const { name, url, clock } = options;
  const transport = createTransport({ ...options, api: `the Polycrate API ${name}` });
  const read = <T>(schema: z.ZodType<T>, reply: Reply, path: string): T => {
    const parsed = schema.safeParse(reply.body);
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.join('.') || 'the answer';
    throw new ApiError('strange', `the Polycrate API ${name}: ${path} was answered with something else (${where})`);
  };
  const get = async <T>(schema: z.ZodType<T>, request: Omit<Request, 'method'>, call?: CallOptions): Promise<T> =>
    read(schema, await transport.send({ method: 'GET', ...request }, call), request.path);
  /** Ids come from answers and from callers: none may change the path. */
  const object = async <T>(schema: z.ZodType<T>, kind: string, id: string, call?: CallOptions): Promise<T> =>
    get(schema, { path: `/api/v1/${kind}/${segment(id)}/`, ...(kind === RUNS && { most_bytes: MOST_LOG_BYTES }) }, call);
  const post = async <T>(schema: z.ZodType<T>, path: string, body: unknown, call?: CallOptions): Promise<T> =>
    read(schema, await transport.send({ method: 'POST', path, body }, call), path);
  const list = async <T>(schema: z.ZodType<T>, path: string, query: Request['query'], call?: CallOptions): Promise<RemotePage<T>> => {
    const { count, next, previous, results } = await get(shape.pageShape, { path, query: query ?? {} }, call);
    // What lacks an id is nothing that could be asked about.
    const items = results.map((result) => schema.safeParse(result).data).filter((item) => item !== undefined);
    return { items, size: results.length, count, more: next !== null, page: pageOf(next, -1) ?? pageOf(previous, 1) };
  };

  const workspaces: PolycrateApi['workspaces'] = (filters, call) =>
    list(shape.workspaceShape, '/api/v1/workspaces/', workspaceQuery(filters), call);
  const workspace: PolycrateApi['workspace'] = (id, call) =>
    object(shape.workspaceShape, 'workspaces', id, call);
  const blocks: PolycrateApi['blocks'] = ({ name: wanted, workspace: home, page, page_size }, call) =>
    list(shape.blockShape, '/api/v1/blocks/', { name_exact: wanted, workspaces: home, page, page_size }, call);

  return {
    name,
    url,
    skew_ms: transport.skew_ms,
    async start(report, call) {
      const path = '/api/v1/cli/action-runs/start/';
      const reply = await transport.send({ method: 'POST', path, body: report }, { ...call, expected: [409] });
      if (reply.status !== 409) return { outcome: 'started', record: read(shape.recordShape, reply, path) };
      const { data } = shape.conflictShape.safeParse(reply.body);
      if (data) return { outcome: 'conflict', record: data };
      throw new ApiError('conflict', `the Polycrate API ${name}: ${path} was answered with a conflict`, { status: 409 });
    },
    finish: async (id, report, call) => post(shape.recordShape, `/api/v1/cli/action-runs/${segment(id)}/finish/`, report, call),
    report: (report, call) => post(shape.recordShape, '/api/v1/cli/action-runs/', report, call),
    runs: ({ organization, workspace: home, block, ...filters }, call) =>
      list(shape.runShape, '/api/v1/action-runs/', { ...filters, organizations: organization, workspaces: home, blocks: block }, call),
    run: (id, call) => object(shape.runDetailShape, RUNS, id, call),
    log: (id, call) => object(shape.logShape, RUNS, id, call),
    workspaces,
    workspace,
    blocks,
    block: (id, call) => object(shape.blockDetailShape, 'blocks', id, call),
    organizations: ({ name: wanted, page, page_size }, call) =>
      list(shape.organizationShape, '/api/v1/organizations/', { name_exact: wanted, page, page_size }, call),
    organization: (id, call) => object(shape.organizationShape, 'organizations', id, call),
    activities: (filters, call) => list(shape.activityShape, '/api/v1/activities/', { ...filters }, call),
    activity: (id, call) => object(shape.activityShape, 'activities', id, call),
    rolloutItems: (filters, call) => list(shape.rolloutItemShape, '/api/v1/block-rollout-items/', { ...filters }, call),
    rolloutItem: (id, call) => object(shape.rolloutItemShape, 'block-rollout-items', id, call),
    createRolloutItem: ({ block, action, reason }, call) =>
      post(shape.rolloutItemShape, '/api/v1/block-rollout-items/', { block, action_name: action, source: 'manual', ...(reason && { reason }) }, call),
    find: createNames({ api: `the Polycrate API ${name}`, clock, workspaces, workspace, blocks }).find,
    close: transport.close,
  };
} // prettier-ignore

/** The number of the page that came, by the link to the one beside it. */
function pageOf(link: string | null, from: number): number | null {
  const page = /[?&]page=(\d{1,9})(?:&|$)/.exec(link ?? '')?.[1];
  return page === undefined ? null : Number(page) + from;
}

function workspaceQuery({
  name,
  organization,
  organization_name,
  page,
  page_size,
}: ListFilters): Request['query'] {
  return { name_exact: name, organizations: organization, organization_name, page, page_size };
}

function segment(id: string): string {
  if (/^[0-9A-Za-z-]{1,64}$/.test(id)) return id;
  throw new ApiError('not_found', `${JSON.stringify(id.slice(0, 80))} is no id of a Polycrate API`);
}
