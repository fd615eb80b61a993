// Rows as the API shows them, with the traps that its schema has: secrets among the fields, names that differ between
// list and detail, nested objects that are null.

const ORIGIN = 'https://app.example.com';

export function shapesOf({ sql }, settings) {
  const organizationOf = (id) => sql('SELECT * FROM organizations WHERE id = ?').get(id);
  const workspaceOf = (id) => sql('SELECT * FROM workspaces WHERE id = ?').get(id);
  const blockOf = (id) => sql('SELECT * FROM blocks WHERE id = ?').get(id);
  const ref = (row, kind) => row && { id: row.id, name: row.name, display_name: row.name, slug: row.name, kind, url: null };
  const user = (username) =>
    username && { id: username.length, username, email: `${username}@example.com`, avatar: null };
  const created = (at, username) => ({ created_at: at, created_at_humanized: 'a while ago', created_by: user(username) });

  /** Every object of an organization carries this. */
  const organization = (row) => ({
    ...ref(row, 'organization'),
    legal_name: `${row.name} GmbH`,
    support_pin: 'PIN-4711-SECRET',
    priority: false,
  });
  const workspace = (row) => ({
    id: row.id,
    name: row.name,
    state: 'OK',
    labels: {},
    organization: organization(organizationOf(row.organization)),
    created: created('2026-01-01T00:00:00Z', 'ops'),
    archived: false,
    url: `${ORIGIN}/ui/workspaces/${row.id}/`,
    kind: 'polycrate',
    purpose: row.purpose,
    git_commit_short_sha: 'c0ffee1',
  });
  const block = (row) => {
    const home = workspaceOf(row.workspace);
    return {
      id: row.id,
      name: row.name,
      state: 'OK',
      organization: ref(organizationOf(home.organization), 'organization'),
      workspace: ref(home, 'workspace'),
      kind: 'generic',
      version: row.version,
      template_block: null,
      template: false,
      installed: true,
    };
  };
  const runRefs = (row) => {
    const home = workspaceOf(row.workspace);
    return {
      organization: home ? organization(organizationOf(home.organization)) : null,
      workspace: ref(home, 'workspace') ?? null,
      block: ref(blockOf(row.block), 'generic') ?? null,
    };
  };
  const run = (row) => ({
    id: row.id,
    name: `Run ${row.n}`,
    state: 'OK',
    labels: {},
    conditions: [],
    ...runRefs(row),
    created: created(row.created_at, row.username),
    archived: row.archived === 1,
    url: `${ORIGIN}/ui/action-runs/${row.id}/`,
    status: row.status,
    action: row.action,
    started_at: row.started_at,
    finished_at: row.finished_at,
    exit_code: row.exit_code,
    created_by_user: user(row.username),
  });
  const parsed = (text) => (text === null ? null : JSON.parse(text));

  return {
    organization,
    workspace,
    block,
    run,
    workspaceDetail: (row) => ({
      ...workspace(row),
      display_name: row.name,
      git_branch: 'main',
      git_reconciled_commit: 'c0ffee1',
      credential: { ssh_private_key: 'SSH-KEY-SECRET' },
      secrets_poly_raw: 'password: RAW-SECRET',
      workspace_poly_raw: `name: ${row.name}`,
      snapshot: { snapshot: { token: 'SNAPSHOT-SECRET' } },
      blocks: sql('SELECT * FROM blocks WHERE workspace = ? ORDER BY name').all(row.id).map((one) => ref(one, 'generic')),
      last_action_run: null,
    }),
    blockDetail: (row) => ({
      ...block(row),
      from_block: null,
      app_version: null,
      config: { password: 'CONFIG-SECRET' },
      full_spec: { password: 'CONFIG-SECRET' },
      actions: [
        { name: 'restart', script: 'true' },
        { name: 'deploy', playbook: 'deploy.yml' },
        { name: 'wipe', script: 'true', prompt: { message: 'Really wipe it?' } },
      ],
      created_by_component: row.managed_by,
    }),
    runDetail: (row) => ({
      ...run(row),
      name: row.name,
      status_reason: row.status_reason,
      command: null,
      log_stdout: row.log_stdout,
      log_stderr: row.log_stderr,
      task_id: row.task_id,
      block_config: parsed(row.block_config),
      block_version: row.block_version,
      block_labels: parsed(row.block_labels),
      workspace_poly: null,
      workspace_snapshot: null,
      workspace_config: null,
      raw_data: parsed(row.raw_data),
      metadata: parsed(row.metadata),
      // Declared as an object, and null outside of a rollout.
      rollout: null,
    }),
    activity: (row) => ({
      id: row.id,
      kind: row.kind,
      kind_display: row.kind,
      message: `${row.kind} ${row.run}`,
      user_email: `${row.username}@example.com`,
      object_type: 'actionrun',
      object_name: row.run,
      object_url: null,
      created: created(row.at, row.username),
    }),
    item: (row) => ({
      id: row.id,
      block: row.block,
      block_name: blockOf(row.block).name,
      action_name: row.action,
      status: row.status,
      source: row.source,
      dispatched_at: null,
      completed_at: null,
      retry_count: 0,
      retry_after: null,
      action_run: row.run,
      // Generic fields are not promised to come back.
      ...(settings.item.reasons && { reason: row.reason }),
    }),
    conflict: (row) => ({
      action_run_id: row.id,
      action: row.action,
      status: row.status,
      started_at: row.started_at,
      action_run_url: `${ORIGIN}/ui/action-runs/${row.id}/`,
    }),
    urlOf: (id) => `${ORIGIN}/ui/action-runs/${id}/`,
  };
} // prettier-ignore
