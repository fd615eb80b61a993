import { describe, expect, it } from 'vitest';
import { loosenedBy } from '../../src/actions/policy-change.ts';
import { policySchema, type Policy } from '../../src/actions/policy-file.ts';
import { decideByPolicy, fits, type PolicyFacts } from '../../src/actions/policy-rules.ts';

const policy = (...rules: object[]): Policy =>
  policySchema.parse({ version: 1, rules: rules.map((rule, index) => ({ name: `r${index}`, ...rule })) });
const PRINCIPAL = { kind: 'key', issuer: 'ledger', subject: 'abc', display: 'deploy bot' } as const;
const facts = ({ asker, ...more }: Partial<Omit<PolicyFacts, 'asker'>> & { asker?: Partial<PolicyFacts['asker']> } = {}): PolicyFacts => ({
  asker: { principal: PRINCIPAL, roles: ['runner'], client: { name: 'claude' }, trigger: 'mcp', ...asker },
  ...{ organization: 'acme', workspace: 'shop', environment: 'production', block: 'db', version: '1.0.0' },
  ...{ action: 'restart', labels: { tier: 'gold' }, kind: 'k8sapp', executor: 'docker', zone: 'UTC' },
  at: Date.parse('2026-11-27T18:30:00Z'),
  ...more,
}); // prettier-ignore
const decide = (rules: Policy, about = facts()) => decideByPolicy({ policy: rules, digest: 'd' }, about);

describe('the rules of a policy', () => {
  it('the first that matches decides, and none means no', () => {
    const rules = policy(
      { when: { action: 'stop' }, decision: 'deny' },
      { decision: 'allow' },
      { decision: 'deny' },
    );
    expect(decide(rules)).toMatchObject({ decision: 'allow', rule: 'r1', policy_digest: 'd' });
    expect(decide(policy())).toMatchObject({ decision: 'deny', rule: 'policy:default' });
  });

  it.each<[object, boolean]>([
    [{ principal: 'key:abc' }, true],
    [{ principal: 'key:ledger#abc' }, true],
    [{ principal: 'deploy bot' }, false],
    [{ principal: ['os:root', 'key:a*'] }, true],
    [{ role: 'runner' }, true],
    [{ role: 'admin' }, false],
    [{ organization: 'acme' }, true],
    [{ workspace: 'shop' }, true],
    [{ workspace: 'acme/*' }, true],
    [{ workspace: 'globex/*' }, false],
    [{ environment: 'prod*' }, true],
    [{ environment: 'staging' }, false],
    [{ block: 'db:1.*' }, true],
    [{ block: 'db:2.*' }, false],
    [{ action: ['stop', 'restart'] }, true],
    [{ labels: { tier: 'g*' } }, true],
    [{ labels: { constructor: '*' } }, false],
    [{ kind: 'k8sapp' }, true],
    [{ executor: 'local' }, false],
    [{ trigger: 'retrigger' }, false],
    [{ days: 'fri' }, true],
    [{ days: ['sat', 'sun'] }, false],
    [{ hours: '18:00-19:00' }, true],
    [{ hours: '18:00-19:00', zone: 'Europe/Berlin' }, false],
    [{ hours: '22:00-06:00' }, false],
    [{ workspace: 'shop', action: 'stop' }, false],
  ])('%j matches: %s', (when, matches) => {
    expect(decide(policy({ when, decision: 'allow' })).decision).toBe(matches ? 'allow' : 'deny');
  });

  it('labels that nobody knows let a rule refuse or ask, and never allow', () => {
    const gold = { when: { labels: { tier: 'gold' } } };
    const unknown = facts({ labels: null, executor: 'remote' });
    expect(decide(policy({ ...gold, decision: 'deny' }, { decision: 'allow' }), unknown).rule).toBe('r0');
    expect(decide(policy({ ...gold, decision: 'allow' }), unknown).rule).toBe('policy:default');
    expect(decide(policy({ when: { executor: 'remote' }, decision: 'allow' }), unknown).decision).toBe(
      'allow',
    );
    expect(decide(policy({ when: { executor: 'docker' }, decision: 'allow' }), unknown).decision).toBe(
      'deny',
    );
  });

  it('a window over midnight belongs to the day on which it began', () => {
    const rules = policy({ when: { days: 'fri', hours: '22:00-06:00' }, decision: 'allow' });
    const at = (time: string) => decide(rules, facts({ at: Date.parse(time) })).decision;
    expect(at('2026-11-27T23:00:00Z')).toBe('allow');
    expect(at('2026-11-28T05:59:00Z')).toBe('allow');
    expect(at('2026-11-28T06:00:00Z')).toBe('deny');
    expect(at('2026-11-27T05:00:00Z')).toBe('deny');
  });

  it('what a client claims to be can only narrow', () => {
    const claim = { when: { client: 'claude' } };
    const name = (rules: Policy) => decide(rules).rule;
    expect(name(policy({ ...claim, decision: 'deny' }, { decision: 'allow' }))).toBe('r0');
    expect(name(policy({ ...claim, decision: 'approve' }, { decision: 'allow' }))).toBe('r0');
    expect(name(policy({ ...claim, decision: 'approve' }, { decision: 'deny' }))).toBe('r1');
    expect(name(policy({ ...claim, decision: 'approve' }))).toBe('policy:default');
    expect(
      name(policy({ ...claim, decision: 'approve' }, { decision: 'approve', approve: { count: 2 } })),
    ).toBe('r1');
    expect(() => policy({ ...claim, decision: 'allow' })).toThrow('only a claim');
  });

  it('two people are only told apart where both are known', () => {
    expect(decide(policy({ decision: 'approve', approve: { count: 2, strength: 'client' } })).approval).toMatchObject({ strength: 'other_principal' });
    expect(decide(policy({ decision: 'approve', approve: { role: 'approver' } })).approval).toMatchObject({ strength: 'key' });
    expect(decide(policy({ decision: 'approve' })).approval).toMatchObject({ count: 1, strength: 'client', expires_ms: 3_600_000 });
  }); // prettier-ignore

  it('patterns take no time that grows with what they do not match', () => {
    expect(fits('a*b*c', 'a-b-c')).toBe(true);
    expect(fits('a*bc*c', 'abc')).toBe(false);
    expect(fits('*', '')).toBe(true);
    const began = performance.now();
    expect(fits('a*'.repeat(90), 'a'.repeat(100_000) + 'b')).toBe(true);
    expect(fits('a*'.repeat(90) + 'c', 'a'.repeat(100_000) + 'b')).toBe(false);
    expect(performance.now() - began).toBeLessThan(200);
  });
});

describe('a changed policy', () => {
  const rules = [
    { name: 'stop', when: { action: 'stop' }, decision: 'approve', approve: { count: 1, strength: 'key' } },
    { name: 'rest', decision: 'allow', limits: { per_hour: 5 } },
  ];
  const of = (...changed: object[]) => loosenedBy(policy(...rules), policy(...changed));
  const [stop, rest] = rules as [(typeof rules)[0], (typeof rules)[1]];

  it.each<[string, object[]]>([
    ['is the same', rules],
    ['denies more', [{ name: 'new', when: { action: 'wipe' }, decision: 'deny' }, ...rules]],
    ['asks for more people', [{ ...stop, approve: { count: 2 } }, rest]],
    ['denies what it allowed', [stop, { name: 'rest', decision: 'deny' }]],
    ['wants a reason', [stop, { ...rest, reason: 'required' }]],
    ['lets fewer through', [stop, { ...rest, limits: { per_hour: 4, concurrency: 1 } }]],
  ])('counts at once if it %s', (_, changed) => {
    expect(of(...changed)).toBeNull();
  });

  it.each<[string, object[]]>([
    ['a rule is gone', [rest]],
    ['the order changed', [rest, stop]],
    ['a denial is gone', []],
    ['fewer proofs', [{ ...stop, approve: { count: 1, strength: 'client' } }, rest]],
    ['more time', [{ ...stop, approve: { count: 1, strength: 'key', expires: '2h' } }, rest]],
    ['more in an hour', [stop, { ...rest, limits: { per_hour: 6 } }]],
    ['no limit', [stop, { name: 'rest', decision: 'allow' }]],
    ['another target', [{ ...stop, when: { action: 'sto*' } }, rest]],
    ['a new approval before a denial', [{ name: 'new', decision: 'approve' }, ...rules]],
    ['a denial of a mere claim', [{ name: 'new', when: { client: 'x' }, decision: 'deny' }, ...rules]],
  ])('may loosen: %s', (_, changed) => {
    expect(of(...changed)).not.toBeNull();
  });
});
