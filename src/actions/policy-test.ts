import type { Principal } from '../access/identity.ts';
import type { Decision } from './policy.ts';
import type { Expectation } from './policy-file.ts';
import { decideByPolicy, type LoadedPolicy, type PolicyFacts } from './policy-rules.ts';

export interface Tried {
  expectation: Expectation;
  decision: Decision;
  met: boolean;
}

/** What the rules say to each line of a table, beside what it expects. */
export function tryPolicy(loaded: LoadedPolicy, expectations: readonly Expectation[], zone: string): Tried[] {
  return expectations.map((expectation) => {
    const decision = decideByPolicy(loaded, factsOf(expectation, zone));
    const { expect, rule = decision.rule } = expectation;
    return { expectation, decision, met: decision.decision === expect && decision.rule === rule };
  });
}

function factsOf({ principal, roles, client, trigger, at, expect: _, rule: __, ...target }: Expectation, zone: string): PolicyFacts {
  const asker = { principal: principalOf(principal), roles, client: client === null ? null : { name: client }, trigger };
  return { ...target, asker, at: Date.parse(at), zone };
} // prettier-ignore

/** `kind:subject` or `kind:issuer#subject`, as rules write it. */
function principalOf(text: string): Principal {
  const [, kind = 'os', rest = text] = /^(os|key|oidc|api):(.*)$/s.exec(text) ?? [];
  const hash = rest.indexOf('#');
  const subject = hash < 0 ? rest : rest.slice(hash + 1);
  return {
    kind: kind as Principal['kind'],
    issuer: hash < 0 ? null : rest.slice(0, hash),
    subject,
    display: subject,
  };
}
