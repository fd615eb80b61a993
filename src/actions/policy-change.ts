import { canonicalJson } from '../shared/json.ts';
import type { Policy, PolicyRule } from './policy-file.ts';
import { isStricter, ruleDecision } from './policy-rules.ts';

/**
 * Null: under the new policy everything that is asked for is at least as hard to get as under the old one. Otherwise
 * what may have become easier. Only what can be told rule by rule counts as stricter: the same rules in the same order,
 * each asking for at least as much, with further `deny` rules anywhere among them.
 */
export function loosenedBy(old: Policy, next: Policy): string | null {
  if (old.zone !== next.zone) return 'the zone of its windows changed';
  let position = 0;
  for (const rule of next.rules) {
    const before = old.rules[position];
    if (before && sameTarget(before, rule)) {
      if (!isStricter(ruleDecision(rule), ruleDecision(before)))
        return `rule ${rule.name} asks for less than before`;
      position += 1;
    } else if (rule.decision !== 'deny') {
      return `rule ${rule.name} is new or changed, and does not deny`;
    } else if (rule.when.client !== undefined) {
      // It may stand before a stricter claim about the same client, and the first claim is the one that counts.
      return `rule ${rule.name} is new and about a client`;
    }
  }
  const left = old.rules[position];
  return left ? `rule ${left.name} is gone or stands elsewhere` : null;
}

function sameTarget(a: PolicyRule, b: PolicyRule): boolean {
  return a.name === b.name && canonicalJson(a.when) === canonicalJson(b.when);
}
