import { describe, expect, it } from 'vitest';
import { actionEnvironment, runFiles } from '../../src/actions/environment.ts';
import { containerLayout, hostLayout } from '../../src/actions/layout.ts';
import type { PlanInput } from '../../src/actions/plan.ts';
import { actionOf, blockOf, filesOf, planOf, workspaceOf } from '../support/planned.ts';

describe('the digest of a plan', () => {
  const same = planOf().digest;

  it('is the same for the same content', () => {
    expect(planOf().digest).toBe(same);
    const reordered = blockOf({ config: { size: 'small', port: 5432 } });
    expect(planOf({ block: reordered }).digest).toBe(same);
  });

  it.each<[string, Partial<PlanInput>]>([
    ['content of the block', { files: filesOf({ block_digest: 'c'.repeat(64) }) }],
    ['inventory', { files: filesOf({ inventory: { relative: 'inventory.yml', digest: 'd'.repeat(64) } }) }],
    ['kubeconfig', { files: filesOf({ kubeconfig: { relative: 'k.yml', digest: 'd'.repeat(64) } }) }],
    [
      'Dockerfile',
      { files: filesOf({ dockerfile: { relative: 'Dockerfile.poly', digest: 'e'.repeat(64) } }) },
    ],
    ['configuration', { block: blockOf({ config: { port: 5432, size: 'large' } }) }],
    ['version', { block: blockOf({ version: '1.0.1' }) }],
    ['script', { action: actionOf({ script: ['echo bye'] }) }],
    ['image', { image: { reference: 'tools:1', digest: 'sha256:2', chosen_by: 'test' } }],
    ['environment', { env: { A: '2' } }],
    ['mounts', { mounts: [] }],
    ['hosts entries', { extra_hosts: ['db:127.0.0.1'] }],
    ['executor', { executor: 'local', image: null }],
    ['workspace', { workspace: workspaceOf({ organization: 'other' }) }],
    ['key of the ledger', { key: new Uint8Array(32).fill(1) }],
  ])('changes with the %s', (_what, parts) => {
    expect(planOf(parts).digest).not.toBe(same);
  });

  it('does not let a configuration be guessed: its pins are keyed', () => {
    const { pins } = planOf({ block: blockOf({ config: { pin: '1234' } }) });
    const other = planOf({ block: blockOf({ config: { pin: '1234' } }), key: new Uint8Array(32).fill(1) });
    expect(pins.config_keys['pin']).not.toBe(other.pins.config_keys['pin']);
    expect(JSON.stringify(pins)).not.toContain('1234');
  });
});

describe('what is started', () => {
  it('by the CLI takes names for names, and answers a prompt that a human was shown', () => {
    const cli = { path: '/opt/polycrate', version: '1', flags: [] };
    const action = actionOf({ name: '-a', prompt: 'Really?' });
    const plan = planOf({ executor: 'cli', cli, image: null, block: blockOf({ name: '--local' }), action });
    expect(plan.command).toEqual([
      ...['/opt/polycrate', 'run', '--workspace=/srv/shop', '--force', '--', '--local', '-a'],
    ]);
    const other = { ...cli, version: '2' };
    const upgraded = planOf({ executor: 'cli', cli: other, image: null, block: plan.block, action });
    expect(upgraded.digest).not.toBe(plan.digest);
  });

  it('hands playbooks the snapshot and keeps a name from becoming an option', () => {
    const action = actionOf({ kind: 'playbook', playbook: '-x.yml', script: [] });
    expect(planOf({ action }).command).toEqual([
      'ansible-playbook',
      '-e',
      '@/polycrate-mcp/snapshot.yml',
      './-x.yml',
    ]);
  });

  it('runs script lines in order in one shell that stops at the first failure, braces untouched', () => {
    const action = actionOf({ script: ["docker ps --format '{{.Names}}'", 'exit 3'] });
    const layout = containerLayout('/workspace');
    expect(planOf({ action }).command).toEqual(['/bin/bash', '-euo', 'pipefail', '/polycrate-mcp/script.sh']);
    const files = runFiles({ workspace: workspaceOf(), block: blockOf(), action, files: filesOf(), layout });
    expect(files.find(({ name }) => name === 'script.sh')?.content).toBe(
      "docker ps --format '{{.Names}}'\nexit 3\n",
    );
  });

  it('gives playbooks workspace.secrets as paths of their world, in original spelling', () => {
    const target = {
      workspace: workspaceOf(),
      block: blockOf({ config: { FooBar: false } }),
      action: actionOf(),
      files: filesOf({ secrets: { 'prod-db.key': 'artifacts/secrets/prod-db.key' } }),
    };
    const snapshotOf = (layout: ReturnType<typeof containerLayout>): any =>
      JSON.parse(runFiles({ ...target, layout })[0]!.content);
    expect(snapshotOf(containerLayout('/workspace'))).toMatchObject({
      workspace: { secrets: { 'prod-db.key': '/workspace/artifacts/secrets/prod-db.key' } },
      block: { config: { FooBar: false } },
      action: { name: 'restart' },
    });
    expect(snapshotOf(hostLayout('/srv/shop', '/home/run/1')).workspace.secrets).toEqual({
      'prod-db.key': '/srv/shop/artifacts/secrets/prod-db.key',
    });
  });

  it('gives playbooks the labels that the CLI puts on every block, over those of the block', () => {
    const labelsOf = (kind: string): any => {
      const block = blockOf({ kind, labels: { tier: 'data', 'blocks.polycrate.io/name': 'mine' } });
      const target = { workspace: workspaceOf(), block, action: actionOf(), files: filesOf() };
      const [snapshot] = runFiles({ ...target, layout: containerLayout('/workspace') });
      return JSON.parse(snapshot!.content).block.labels;
    };
    const common = {
      tier: 'data',
      'workspaces.polycrate.io/name': 'shop',
      'organizations.polycrate.io/name': 'acme',
      'blocks.polycrate.io/name': 'db',
      'polycrate.io/managed-by': 'cli',
    };
    expect(labelsOf('generic')).toEqual({ ...common, 'blocks.polycrate.io/kind': 'generic' });
    expect(labelsOf('k8sappinstance')).toEqual({
      ...common,
      'blocks.polycrate.io/kind': 'k8sappinstance',
      'k8sappinstances.polycrate.io/name': 'db',
      'logs.polycrate.io/source': 'app',
    });
  });

  it('sets the variables that the CLI means, and lets extraenv override them', () => {
    const target = {
      workspace: workspaceOf({ extraenv: { ANSIBLE_VERBOSITY: '3', OWN: 'x=y' } }),
      block: blockOf(),
      action: actionOf(),
      files: filesOf({ ssh_key: { relative: 'artifacts/secrets/id_rsa', digest: '' } }),
      layout: containerLayout('/workspace'),
    };
    const env = actionEnvironment(target, { container: true, image: 'host:5000/tools:1', version: '9' });
    expect(env).toMatchObject({
      ANSIBLE_INVENTORY: '/workspace/inventory.yml',
      ANSIBLE_PRIVATE_KEY_FILE: '/workspace/artifacts/secrets/id_rsa',
      ANSIBLE_VERBOSITY: '3',
      OWN: 'x=y',
      POLYCRATE_BLOCK: 'db',
      POLYCRATE_ACTION: 'restart',
      POLYCRATE_IMAGE_REFERENCE: 'host:5000/tools',
      POLYCRATE_IMAGE_VERSION: '1',
      IN_CONTAINER: '1',
    });
    const none = { ...target, files: filesOf({ inventory: null }) };
    const inventory = (container: boolean) =>
      actionEnvironment(none, { container, image: null, version: '9' })['ANSIBLE_INVENTORY'];
    expect([inventory(true), inventory(false)]).toEqual(['/etc/ansible/hosts', undefined]);
  });
});
