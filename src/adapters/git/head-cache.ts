import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../shared/ports.ts';
import type { GitHead } from '../../workspaces/git-state.ts';
import type { Repository } from './repository.ts';

/** A file that changed within this time of being looked at may change again under the same time stamp. */
const RACY_MS = 100;

/** Remembers where HEAD stood until one of the files that say so changes. */
export interface HeadCache {
  get(repository: Repository, ask: () => Promise<GitHead | null>): Promise<GitHead | null>;
}

export function createHeadCache(clock: Pick<Clock, 'now'>): HeadCache {
  const known = new Map<string, { head: GitHead; stamp: string }>();
  return {
    async get(repository, ask) {
      const before = known.get(repository.gitDir);
      if (before && before.stamp === (await stampOf(repository, before.head)).text) return before.head;
      const asked_at = clock.now();
      const head = await ask();
      known.delete(repository.gitDir);
      if (!head) return null;
      const { text, newest } = await stampOf(repository, head);
      // What was as it is now long before the question is what the answer is about.
      if (newest < asked_at - RACY_MS) known.set(repository.gitDir, { head, stamp: text });
      return head;
    },
  };
}

async function stampOf(
  { gitDir, commonDir }: Repository,
  { branch }: GitHead,
): Promise<{ text: string; newest: number }> {
  const files = [
    join(gitDir, 'HEAD'),
    join(commonDir, 'packed-refs'),
    join(commonDir, 'reftable', 'tables.list'),
    join(gitDir, 'reftable', 'tables.list'),
    ...(branch === null ? [] : [join(commonDir, 'refs', 'heads', branch)]),
  ];
  const stamps = await Promise.all(files.map((file) => stat(file, { bigint: true }).catch(() => null)));
  const times = stamps.map((facts) => (facts ? Number(facts.ctimeNs / 1_000_000n) : 0));
  const words = stamps.map(
    (facts) => facts && `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`,
  );
  return { text: words.join(' '), newest: Math.max(...times) };
}
