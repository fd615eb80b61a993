import type { ImageFacts } from '../../runs/executor.ts';

type Say = (line: string) => Promise<void>;

export interface Waiter {
  say: Say;
  signal: AbortSignal;
}

interface Shared {
  built: Promise<ImageFacts>;
  waiting: Set<Say>;
  abort: AbortController;
}

export type BuildOnce = (
  key: string,
  waiter: Waiter,
  build: (parts: { say: Say; signal: AbortSignal }) => Promise<ImageFacts>,
) => Promise<ImageFacts>;

/** The same image that several runs wait for is built once; it is given up when the last of them gives up. */
export function createBuildOnce(): BuildOnce {
  const running = new Map<string, Shared>();
  return async (key, waiter, build) => {
    for (let shared = running.get(key); shared; shared = running.get(key)) {
      if (!shared.abort.signal.aborted) {
        const told = waiter.say(
          'the same build is under way for another run; what follows is shared with it',
        );
        const image = join(shared, waiter);
        await told;
        return await image;
      }
      // Given up by all others and about to end: not ours any more.
      await shared.built.catch(() => undefined);
    }
    return await join(begin(running, key, build), waiter);
  };
}

function begin(running: Map<string, Shared>, key: string, build: Parameters<BuildOnce>[2]): Shared {
  const waiting = new Set<Say>();
  const abort = new AbortController();
  const say: Say = async (line) => void (await Promise.all([...waiting].map((tell) => tell(line))));
  const built = build({ say, signal: abort.signal }).finally(() => running.delete(key));
  built.catch(() => undefined);
  const shared = { built, waiting, abort };
  running.set(key, shared);
  return shared;
}

async function join({ built, waiting, abort }: Shared, { say, signal }: Waiter): Promise<ImageFacts> {
  waiting.add(say);
  const leave = (): void => {
    waiting.delete(say);
    if (waiting.size === 0) abort.abort();
  };
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  const left = new Promise<never>((_resolve, reject) => {
    // The last one waits for the build itself to end, so that nothing of it is left when the run is closed.
    const tell = (): void =>
      void (abort.signal.aborted || reject(new Error('the run no longer waits for its image')));
    signal.addEventListener('abort', tell, { once: true });
  });
  try {
    return await Promise.race([built, left]);
  } finally {
    signal.removeEventListener('abort', leave);
    waiting.delete(say);
  }
}
