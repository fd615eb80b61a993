import type { LoadedPolicy } from '../actions/policy-rules.ts';
import type { People } from '../access/people.ts';

/** What `get_status` tells of the policy file. */
export interface PolicyStanding {
  file: string;
  /** Of the policy that decides; null: none does, and nothing runs. */
  digest: string | null;
  rules: number;
  loaded_at: number | null;
  /** The file on disk cannot be used; the policy that was loaded before stays in force. */
  problem: string | null;
  /** The file on disk is another one that may allow more: it counts after a restart. */
  waiting: { digest: string; why: string } | null;
}

/** The rules that hold now. The file is looked at with every question, so a change counts at once. */
export interface Policies {
  /** A text where there is none and says why. */
  current(): Promise<LoadedPolicy | string>;
  standing(): Promise<PolicyStanding>;
}

/** For modes without a policy. */
export interface PolicyPorts {
  policies: Policies | null;
  people(): Promise<People>;
  zone(): string;
}
