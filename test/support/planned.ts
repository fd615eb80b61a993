import { buildPlan, type Plan, type PlanInput } from '../../src/actions/plan.ts';
import { containerLayout } from '../../src/actions/layout.ts';
import type { Action, Block } from '../../src/blocks/block.ts';
import type { BlockFiles } from '../../src/workspaces/workspace-store.ts';
import { CONFIG_DEFAULTS } from '../../src/workspaces/declaration.ts';
import type { Workspace } from '../../src/workspaces/workspace.ts';

/** A small sound workspace for tests of pure code; parts can be replaced. */
export function workspaceOf(parts: Partial<Workspace> = {}): Workspace {
  return {
    name: 'shop',
    organization: 'acme',
    path: '/srv/shop',
    description: null,
    version: null,
    identifier: null,
    alias: [],
    labels: {},
    meta: {},
    dependencies: [],
    environment: null,
    blocks: [],
    workflows: [],
    config: CONFIG_DEFAULTS,
    unread: {},
    extraenv: {},
    extramounts: [],
    inventory: null,
    kubeconfig: null,
    problems: [],
    differences: [],
    runnable: true,
    ...parts,
  };
}

export function actionOf(parts: Partial<Action> = {}): Action {
  return {
    name: 'restart',
    description: null,
    kind: 'script',
    playbook: null,
    script: ['echo hello'],
    prompt: null,
    interactive: false,
    alias: [],
    labels: {},
    config: {},
    problem: null,
    ...parts,
  };
}

export function blockOf(parts: Partial<Block> = {}): Block {
  return {
    name: 'db',
    version: '1.0.0',
    app_version: null,
    kind: null,
    type: null,
    flavor: null,
    description: null,
    about: {},
    from: null,
    template: false,
    labels: {},
    alias: [],
    config: { port: 5432, size: 'small' },
    actions: [actionOf()],
    dir: 'blocks/db',
    dirs: ['blocks/db'],
    inventory: { from: null, filename: null },
    kubeconfig: { from: null, filename: null },
    origin: {},
    declared_in: 'blocks/db/block.poly',
    problems: [],
    differences: [],
    ...parts,
  };
}

export function filesOf(parts: Partial<BlockFiles> = {}): BlockFiles {
  return {
    block_digest: 'a'.repeat(64),
    inventory: { relative: 'inventory.yml', digest: 'b'.repeat(64) },
    groups: null,
    hosts: ['db-1'],
    hosts_unknown: null,
    kubeconfig: null,
    ssh_key: null,
    dockerfile: null,
    schema: null,
    secrets: {},
    encrypted: [],
    wrong_key: false,
    opened: {},
    ...parts,
  };
}

export function planOf(parts: Partial<PlanInput> = {}): Plan {
  return buildPlan({
    workspace: workspaceOf(),
    block: blockOf(),
    action: actionOf(),
    files: filesOf(),
    git: null,
    view: null,
    executor: 'docker',
    cli: null,
    custom: null,
    image: { reference: 'tools:1', digest: 'sha256:1', chosen_by: 'test' },
    layout: containerLayout('/workspace'),
    env: { A: '1' },
    mounts: [{ host: '/srv/shop', container: '/workspace', readonly: false }],
    extra_hosts: [],
    timeout_ms: null,
    reach: { hosts: ['db-1'], note: null },
    locked: false,
    key: new Uint8Array(32),
    ...parts,
  });
}
