import { sees, type Scope } from '../access/identity.ts';
import type { Log } from '../shared/ports.ts';
import { messageOf } from '../shared/errors.ts';
import type { Services } from '../tools/services.ts';

/** How long a change may wait where the ledger does not tell of it, such as a log that grows. */
const LOOK_EVERY_MS = 1_000;
/** Each is looked at whenever the ledger changes. */
const MOST_WATCHED = 200;
const RUN_URI = /^polycrate:\/\/runs\/([^/]+)(\/log)?$/;

export type SubscriptionPorts = Pick<Services, 'ledger' | 'logs' | 'watch'> & { log: Log };

export interface RunSubscriptions {
  /** False: not the address of a run that exists, for that scope, or of its log. */
  add(subscriber: string | number, uri: string, scope?: Scope): Promise<boolean>;
  remove(subscriber: string | number, uri?: string): void;
  close(): void;
}

interface Watched {
  subscribers: Set<string | number>;
  seen: string | null;
}

/** Looks at the runs that somebody subscribed to, and only at those, whichever process changes them. */
export function createRunSubscriptions(
  ports: SubscriptionPorts,
  notify: (uri: string, subscribers: ReadonlySet<string | number>) => Promise<void>,
): RunSubscriptions {
  const watched = new Map<string, Watched>();
  const closing = new AbortController();
  let looking = false;
  const look = async (): Promise<void> => {
    for (const [uri, entry] of watched) {
      const now = await stateOf(ports, uri);
      if (now === null || now === entry.seen || !watched.has(uri)) continue;
      entry.seen = now;
      await notify(uri, entry.subscribers);
    }
  };
  const loop = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    while (watched.size > 0 && !closing.signal.aborted) {
      await look().catch((error: unknown) =>
        ports.log('warn', 'a subscribed run could not be looked at', { error: messageOf(error) }),
      );
      await ports.watch.changed(LOOK_EVERY_MS, closing.signal);
    }
    looking = false;
  };
  return {
    async add(subscriber, uri, scope = null) {
      if (watched.size >= MOST_WATCHED && !watched.has(uri)) return false;
      const seen = await stateOf(ports, uri, scope);
      if (seen === null) return false;
      const entry = watched.get(uri) ?? { subscribers: new Set(), seen };
      entry.subscribers.add(subscriber);
      watched.set(uri, entry);
      void loop();
      return true;
    },
    remove(subscriber, uri) {
      for (const [known, { subscribers }] of watched) {
        if (uri !== undefined && uri !== known) continue;
        subscribers.delete(subscriber);
        if (subscribers.size === 0) watched.delete(known);
      }
    },
    close: () => closing.abort(),
  };
}

/** Whatever differs when the resource does; null: there is no such run. */
async function stateOf(
  { ledger, logs }: SubscriptionPorts,
  uri: string,
  scope: Scope = null,
): Promise<string | null> {
  const [, id, log] = RUN_URI.exec(uri) ?? [];
  const run = id === undefined ? null : await ledger.find(id);
  if (!run || !sees(scope, run)) return null;
  if (log === undefined || run.log !== null) return JSON.stringify(run);
  const end = { mode: 'tail', lines: 1, line: 1, stream: null, matches: null } as const;
  return `${run.status} ${(await logs.read(run.id, end))?.total_lines ?? 0}`;
}
