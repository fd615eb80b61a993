import { remoteDigest, type RemotePlan } from '../actions/remote-plan.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { RemoteRuns } from '../runs/remote.ts';
import { AppError } from '../shared/errors.ts';
import type { Catalogues } from './catalogue.ts';
import { ApiError } from './api-error.ts';
import { endpointOf, type ApiDirectory, type ApiEndpoint } from './endpoints.ts';
import { isClosed } from './own-record.ts';
import type { PolycrateApi, RemoteBlockDetail } from './polycrate-api.ts';

export interface RemoteRunsPorts {
  on: boolean;
  apis: Pick<ApiDirectory, 'setup' | 'open'>;
  catalogues: Pick<Catalogues, 'of'>;
}

const STILL: readonly string[] = ['pending', 'in_progress', 'retrying'];
const LOOK = { within_ms: 15_000 };
const PAGE = 20;

/** Plans what a Polycrate API would execute in place of a past run (block rollout items). */
export function createRemoteRuns({ on, apis, catalogues }: RemoteRunsPorts): RemoteRuns {
  return {
    on,
    async plan(run) {
      const { endpoint, api } = await apiOf(apis, run);
      const { organization, workspace } = run;
      if (organization === null || run.block === null || run.action === null) {
        throw new AppError('refused', `run ${run.id} does not tell its organization, block and action, which the API wants`);
      }
      const ids = await api.find({ organization, workspace, block: run.block }, LOOK);
      const block = await api.block(ids.block, LOOK);
      const action = actionOf(block, run.action);
      const known = (await catalogues.of(endpoint.name)).workspaces.find(({ id }) => id === ids.workspace);
      const purpose = known?.purpose ?? null;
      const { id, name, version, kind, managed_by } = block;
      const plan = {
        executor: 'remote' as const,
        ...{ endpoint: endpoint.name, url: endpoint.url, organization, workspace },
        environment: purpose === null ? run.environment : { value: purpose, origin: 'api' },
        block: { id, name, version, kind, managed_by },
        ...action,
      };
      return { ...plan, warnings: warningsOf(plan), digest: remoteDigest(plan) };
    },
    async knows(endpoint) {
      return on && (await apis.setup()).endpoints.some(({ name }) => name === endpoint);
    },
    async refuseBeside(plan) {
      const { name } = plan.block;
      const api = (await apis.open(plan.endpoint))!;
      const [items, ...open] = await Promise.all([
        api.rolloutItems({ block: plan.block.id }, LOOK),
        ...(['running', 'pending'] as const).map((status) => api.runs({ block: plan.block.id, status, page_size: PAGE }, LOOK)),
      ]);
      const item = items.items.find((one) => one.block === plan.block.id && STILL.includes(one.status));
      // An API that does not know the filters ignores them.
      const run = open.flatMap((page) => page.items).find((one) => one.block?.id === plan.block.id && !isClosed(one));
      if (!item && !run) return;
      const what = run ? `an open run (${run.url ?? run.id})` : `an item in its queue (${item!.id}, ${item!.status})`;
      throw new AppError('already_active', `not asked: the Polycrate API ${plan.endpoint} has ${what} of block ${name}`, {
        next: 'wait until it has ended there',
        details: { action_run_id: run?.id ?? item?.action_run ?? null, item: item?.id ?? null, url: run?.url ?? null },
      });
    },
  };
} // prettier-ignore

/** The API that the run is from, else the one that knows its workspace. */
async function apiOf(apis: RemoteRunsPorts['apis'], run: ActionRun): Promise<{ endpoint: ApiEndpoint; api: PolycrateApi }> {
  const setup = await apis.setup();
  const from = run.api?.endpoint ?? run.executor?.runner;
  const endpoint = setup.endpoints.find(({ name }) => name === from) ?? endpointOf(setup, run);
  const api = endpoint && (await apis.open(endpoint.name));
  if (endpoint && api) return { endpoint, api };
  throw new AppError('configuration', `no Polycrate API is configured here that knows workspace ${run.workspace}`, {
    next: setup.problems[0] ?? 'the operator can set POLYCRATE_API_URL and POLYCRATE_API_API_KEY',
  });
} // prettier-ignore

function actionOf({ name: block, actions }: RemoteBlockDetail, action: string): Pick<RemotePlan, 'action' | 'prompt'> {
  if (actions === null) return { action, prompt: null };
  const found = actions.find(({ name }) => name === action);
  if (found) return { action, prompt: found.prompt };
  throw new ApiError('not_found', `block ${block} has no action ${action} at the API any more`, {
    valid: actions.slice(0, 20).map(({ name }) => name),
  });
} // prettier-ignore

function warningsOf({ block, endpoint }: Pick<RemotePlan, 'block' | 'endpoint'>): string[] {
  return [
    `the Polycrate API ${endpoint} executes it by its own definition of today; the version is all that can be compared here`,
    'once it is queued there, nothing here can stop it',
    ...(block.managed_by === 'api'
      ? []
      : [
          `the block is managed by ${block.managed_by || 'nobody that the API names'} there: such items are usually skipped, that is, not executed`,
        ]),
  ];
}
