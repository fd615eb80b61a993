import { describe, expect, it } from 'vitest';
import { decide, type OperatorLimits } from '../../src/actions/policy.ts';
import { actionOf, blockOf, filesOf, planOf, workspaceOf } from '../support/planned.ts';

const limits = (parts: Partial<OperatorLimits> = {}): OperatorLimits => ({
  mode: 'trusted',
  allowed_images: ['tools:*'],
  allowed_mounts: [],
  ...parts,
});
const mount = (host: string) => ({ host, container: '/data', readonly: false });
const error = { severity: 'error' as const, file: 'blocks/db/block.poly', line: 3, message: 'is broken' };

describe('who decides about a run', () => {
  it.each([
    ['trusted', 'allow', 'mode:trusted'],
    ['ask', 'approve', 'mode:ask'],
    ['read-only', 'deny', 'mode:read-only'],
  ] as const)('run mode %s: %s', (mode, decision, rule) => {
    expect(decide(planOf(), limits({ mode }))).toMatchObject({ decision, rule });
  });

  it('asks a human for an action with a prompt in every mode that runs anything', () => {
    const plan = planOf({ action: actionOf({ prompt: 'Really?' }) });
    for (const mode of ['trusted', 'ask'] as const) {
      expect(decide(plan, limits({ mode }))).toMatchObject({ decision: 'approve', rule: 'action:prompt' });
    }
    expect(decide(plan, limits({ mode: 'read-only' }))).toMatchObject({ decision: 'deny' });
  });
});

describe('what nobody can approve', () => {
  it.each([
    ['workspace:not-named', { workspace: workspaceOf({ runnable: false }) }],
    ['definition:broken', { block: blockOf({ problems: [error] }) }],
    ['definition:broken', { block: blockOf({ template: true }) }],
    ['definition:broken', { action: actionOf({ problem: 'neither script nor playbook' }) }],
    ['definition:broken', { workspace: workspaceOf({ problems: [{ ...error, file: 'workspace.poly' }] }) }],
    ['secrets:locked', { files: filesOf({ encrypted: ['secrets.poly.age'] }) }],
    ['action:interactive', { action: actionOf({ interactive: true }) }],
    ['image:not-allowed', { image: { reference: 'evil:1', digest: null, chosen_by: 'workspace.poly' } }],
    ['mount:not-allowed', { mounts: [mount('/etc')] }],
    // A folder whose name only begins like an allowed one.
    ['mount:not-allowed', { mounts: [mount('/srv/shop-of-others')] }],
  ])('%s', (rule, parts) => {
    for (const mode of ['trusted', 'ask'] as const) {
      const decision = decide(planOf(parts), limits({ mode }));
      expect(decision).toMatchObject({ decision: 'deny', rule });
      expect(decision.remedy).not.toBeNull();
    }
  });

  it('runs beside other encrypted files: only what reads them would miss them', () => {
    const files = filesOf({ encrypted: ['artifacts/secrets/token.txt.age'] });
    expect(decide(planOf({ files }), limits())).toMatchObject({ decision: 'allow' });
  });

  it('allows what the operator named, with all below it', () => {
    const plan = planOf({ mounts: [mount('/data'), mount('/data/deep/er'), mount('/srv/shop/sub')] });
    expect(decide(plan, limits({ allowed_mounts: ['/data'] }))).toMatchObject({ decision: 'allow' });
    expect(decide(plan, limits({ allowed_mounts: ['/data/'] }))).toMatchObject({ decision: 'allow' });
    expect(decide(plan, limits({ allowed_mounts: ['/data/deep'] }))).toMatchObject({ decision: 'deny' });
  });

  it('compares images whole unless the operator ended the name with a star', () => {
    const of = (reference: string) => planOf({ image: { reference, digest: null, chosen_by: 'test' } });
    expect(decide(of('tools:12'), limits({ allowed_images: ['tools:1'] }))).toMatchObject({
      decision: 'deny',
    });
    expect(decide(of('tools:1'), limits({ allowed_images: ['tools:1'] }))).toMatchObject({
      decision: 'allow',
    });
    expect(decide(of('tools:1'), limits({ allowed_images: [] }))).toMatchObject({ decision: 'deny' });
  });
});
