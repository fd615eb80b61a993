import type { LoadedPolicy } from '../actions/policy-rules.ts';
import { loosenedBy } from '../actions/policy-change.ts';
import type { Principal } from '../access/identity.ts';
import type { LedgerEvent } from './action-run.ts';
import { messageOf } from '../shared/errors.ts';
import type { Clock, Log } from '../shared/ports.ts';
import type { Policies, PolicyStanding } from './policies.ts';

export interface PolicySource {
  file: string;
  /** Changes with the file: asked for with every question, so it is cheap. Throws like `read`. */
  stamp(): Promise<string>;
  /** Throws `configuration`, naming file and line. */
  read(): Promise<LoadedPolicy>;
}

export interface PolicyLoading {
  source: PolicySource;
  /** Durable when it resolves; a policy that could not be recorded does not come into force. */
  record(event: LedgerEvent & { kind: 'policy_loaded'; run_id: '' }): Promise<void>;
  by: Principal;
  clock: Pick<Clock, 'now'>;
  log: Log;
}

/** Loads the policy file when first asked, and again whenever it changed. */
export function createPolicies({ source, record, by, clock, log }: PolicyLoading): Policies {
  let loaded: (LoadedPolicy & { at: number }) | null = null;
  let seen: string | null = null;
  let problem: string | null = null;
  let waiting: PolicyStanding['waiting'] = null;
  let looking: Promise<void> | null = null;

  const enter = async (next: LoadedPolicy): Promise<void> => {
    const at = clock.now();
    const facts = { digest: next.digest, rules: next.policy.rules.length, file: source.file };
    await record({ kind: 'policy_loaded', run_id: '', at, facts, private: { principal: { ...by } } });
    loaded = { ...next, at };
    log('info', 'policy loaded', { file: source.file, digest: next.digest, rules: facts.rules });
  };
  const consider = async (next: LoadedPolicy): Promise<void> => {
    waiting = null;
    if (loaded?.digest === next.digest) return;
    const why = loaded && loosenedBy(loaded.policy, next.policy);
    if (why === null) return await enter(next);
    waiting = { digest: next.digest, why };
    log('warn', 'the policy file may allow more than before and counts after a restart', {
      file: source.file,
      why,
    });
  };
  const look = async (): Promise<void> => {
    let stamp: string | null = null;
    try {
      stamp = await source.stamp();
      if (stamp === seen) return;
      await consider(await source.read());
      problem = null;
      seen = stamp;
    } catch (error) {
      const message = messageOf(error);
      if (message !== problem) {
        const force = loaded ? 'the one that was loaded before stays in force' : 'nothing runs until it can';
        log('error', `the policy file cannot be used: ${force}`, { file: source.file, error: message });
      }
      problem = message;
    }
  };
  /** One look at a time: several calls wait for the same one. */
  const fresh = (): Promise<void> => (looking ??= look().finally(() => (looking = null)));

  return {
    async current() {
      await fresh();
      return loaded ?? problem ?? 'no policy is loaded';
    },
    async standing() {
      await fresh();
      const { digest = null, at = null } = loaded ?? {};
      return {
        file: source.file,
        digest,
        rules: loaded?.policy.rules.length ?? 0,
        loaded_at: at,
        problem,
        waiting,
      };
    },
  };
}
