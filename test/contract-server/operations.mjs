// What each operation does. A handler answers {status, body}.
import { randomUUID } from 'node:crypto';
import { shapesOf } from './shapes.mjs';

export function refusal(status, code, detail, attr = null) {
  const type = status >= 500 ? 'server_error' : code === 'invalid' || code === 'required' ? 'validation_error' : 'client_error';
  return { status, body: { type, errors: [{ code, detail, attr }] } };
} // prettier-ignore

const notFound = () => refusal(404, 'not_found', 'Not found.');

export function operationsOf(store, settings) {
  const { sql } = store;
  const show = shapesOf(store, settings);
  const now = () => new Date(Date.now() + settings.skew_ms).toISOString();

  const page = (query, { from, where, values, shape }) => {
    const size = Math.min(Number(query.get('page_size') ?? 25), settings.max_page_size);
    const number = Number(query.get('page') ?? 1);
    const clause = where.length > 0 ? ` WHERE ${where.join(' AND ')}` : '';
    const count = sql(`SELECT count(*) AS n FROM ${from}${clause}`).get(values).n;
    if (number > 1 && (number - 1) * size >= count) return refusal(404, 'not_found', 'Invalid page.');
    const order = query.get('ordering') === 'created_at' ? 'rowid' : 'rowid DESC';
    const rows = sql(`SELECT * FROM ${from}${clause} ORDER BY ${order} LIMIT @size OFFSET @skip`).all({
      ...values, size, skip: (number - 1) * size,
    });
    const link = (to) => `https://app.example.com/list/?page=${to}`;
    return {
      status: 200,
      body: {
        count,
        next: number * size < count ? link(number + 1) : null,
        previous: number > 1 ? link(number - 1) : null,
        results: rows.map(shape),
      },
    };
  }; // prettier-ignore
  /** Filters that are given, each as a condition with its value; a server that does not know them ignores them. */
  const filtered = (query, conditions) => {
    if (settings.blind) return { where: [], values: {} };
    const given = Object.keys(conditions).filter((name) => query.get(name));
    return {
      where: given.map((name) => conditions[name]),
      values: Object.fromEntries(given.map((name) => [name, query.get(name)])),
    };
  };
  const one = (table, shape) => ({ values: { id } }) => {
    const row = sql(`SELECT * FROM ${table} WHERE id = ?`).get(id);
    return row ? { status: 200, body: shape(row) } : notFound();
  }; // prettier-ignore

  const json = (value) => (value === undefined || value === null ? null : JSON.stringify(value));
  const statusOf = (exit_code) => (exit_code === 0 ? 'success' : 'failed');

  return {
    api_v1_cli_action_runs_create({ body, username }) {
      const block = store.find(body);
      if (!block) return { status: 404, body: { error: 'organization, workspace or block not found' } };
      const status = statusOf(body.exit_code);
      const { action, name, exit_code, started_at, finished_at, stdout, stderr, block_version } = body;
      const id = store.addRun({
        workspace: block.workspace_id, block: block.id, action, name, status, exit_code, started_at, finished_at,
        created_at: now(), username, log_stdout: stdout, log_stderr: stderr, block_version,
        block_config: json(body.block_config), metadata: json(body.metadata), raw_data: json(body),
      });
      store.note('block_action_run', id, { username, at: now() });
      return { status: 201, body: { success: true, action_run_id: id, status, message: 'stored', action_run_url: show.urlOf(id) } };
    },
    api_v1_cli_action_runs_start_create({ body, username }) {
      if (settings.one_shot_only) return notFound();
      const block = store.find(body);
      if (!block) return notFound();
      const active = store.active(block.id);
      if (active && body.force !== true) {
        return { status: 409, body: { success: false, error: 'action_run_already_running', conflict: show.conflict(active) } };
      }
      if (active) store.change(active.id, { status: 'cancelled', finished_at: now() });
      const { action, started_at = now(), block_version } = body;
      const id = store.addRun({
        workspace: block.workspace_id, block: block.id, action, status: 'running', started_at, created_at: now(), username,
        block_version, block_labels: json(body.block_labels), block_config: json(body.block_config), raw_data: json(body),
      });
      store.note('block_action_run_start', id, { username, at: now() });
      return { status: 201, body: { success: true, action_run_id: id, status: 'running', action_run_url: show.urlOf(id) } };
    },
    api_v1_cli_action_runs_finish_create({ values: { action_run_id: id }, body, username }) {
      const run = store.run(id);
      if (!run) return { status: 404, body: { error: 'no such run' } };
      if (run.finished_at !== null) {
        if (settings.second_finish === 400) return { status: 400, body: { error: 'already finished' } };
        if (settings.second_finish === 409) return refusal(409, 'conflict', 'already finished');
      }
      const { exit_code, finished_at = now(), stdout, stderr } = body;
      const status = body.status ?? statusOf(exit_code);
      store.change(id, { status, exit_code, finished_at, log_stdout: stdout ?? null, log_stderr: stderr ?? null, metadata: json(body.metadata) });
      store.note('block_action_run_finish', id, { username, at: now() });
      return { status: 200, body: { success: true, action_run_id: id, status, action_run_url: show.urlOf(id) } };
    },
    api_v1_action_runs_list({ query }) {
      const { where, values } = filtered(query, {
        action: 'action = @action', blocks: 'block = @blocks', workspaces: 'workspace = @workspaces',
        status: 'status = @status', name_exact: 'name = @name_exact',
        organizations: 'workspace IN (SELECT id FROM workspaces WHERE organization = @organizations)',
      });
      // Archived objects are hidden.
      return page(query, { from: 'runs', where: [...where, 'archived = 0'], values, shape: show.run });
    },
    api_v1_action_runs_retrieve: one('runs', show.runDetail),
    api_v1_workspaces_list: ({ query }) =>
      page(query, {
        from: 'workspaces',
        ...filtered(query, {
          name_exact: 'name = @name_exact', name: "name LIKE '%' || @name || '%'", organizations: 'organization = @organizations',
          organization_name: 'organization IN (SELECT id FROM organizations WHERE name = @organization_name)',
        }),
        shape: show.workspace,
      }),
    api_v1_workspaces_retrieve: one('workspaces', show.workspaceDetail),
    api_v1_blocks_list: ({ query }) =>
      page(query, {
        from: 'blocks',
        ...filtered(query, { name_exact: 'name = @name_exact', workspaces: 'workspace = @workspaces', version: 'version = @version' }),
        shape: show.block,
      }),
    api_v1_blocks_retrieve: one('blocks', show.blockDetail),
    api_v1_organizations_list: ({ query }) =>
      page(query, { from: 'organizations', ...filtered(query, { name_exact: 'name = @name_exact' }), shape: show.organization }),
    api_v1_organizations_retrieve: one('organizations', show.organization),
    api_v1_activities_list: ({ query }) =>
      page(query, { from: 'activities', ...filtered(query, { kind: 'kind = @kind', object_id: 'run = @object_id' }), shape: show.activity }),
    api_v1_activities_retrieve: one('activities', show.activity),
    api_v1_block_rollout_items_list: ({ query }) =>
      page(query, { from: 'items', ...filtered(query, { block: 'block = @block', status: 'status = @status', source: 'source = @source' }), shape: show.item }),
    api_v1_block_rollout_items_create({ body }) {
      if (!sql('SELECT 1 FROM blocks WHERE id = ?').get(body.block)) return refusal(400, 'invalid', 'no such block', 'block');
      const row = {
        id: randomUUID(), block: body.block, action: body.action_name, status: 'pending', source: body.source ?? 'manual', run: null,
        reason: body.reason ?? null,
      };
      sql('INSERT INTO items (id, block, action, status, source, run, reason) VALUES (@id, @block, @action, @status, @source, @run, @reason)').run(row);
      return { status: 201, body: show.item(row) };
    },
    /** Moves on with each look, unless it is held: blocks that the CLI manages are skipped, others get their run. */
    api_v1_block_rollout_items_retrieve({ values: { id } }) {
      const row = sql('SELECT * FROM items WHERE id = ?').get(id);
      if (!row) return notFound();
      const block = sql('SELECT * FROM blocks WHERE id = ?').get(row.block);
      const { exit_code, hold, log_stdout, log_stderr } = settings.item;
      if (row.status === 'pending' && block.managed_by === 'cli') row.status = 'skipped';
      else if (row.status === 'pending') {
        row.status = 'in_progress';
        row.run = store.addRun({
          workspace: block.workspace, block: block.id, action: row.action, status: 'running', started_at: now(), created_at: now(),
          task_id: randomUUID(), block_version: block.version, username: 'worker',
        });
      } else if (row.status === 'in_progress' && !hold) {
        row.status = exit_code === 0 ? 'completed' : 'failed';
        store.change(row.run, { status: statusOf(exit_code), exit_code, finished_at: now(), log_stdout, log_stderr });
      }
      sql('UPDATE items SET status = @status, run = @run WHERE id = @id').run({ id, status: row.status, run: row.run });
      return { status: 200, body: show.item(row) };
    },
  };
} // prettier-ignore
