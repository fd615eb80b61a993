import type { UpkeepProgress } from '../ledger/upkeep.ts';
import type { Progress } from '../ledger/verify.ts';

type Step = Progress['step'] | UpkeepProgress['step'];

const STEPS: Record<Step, string> = {
  file: 'checking the file',
  events: 'events',
  runs: 'runs',
  values: 'looking at private values, event',
  erasing: 'runs rewritten',
  pruning: 'events taken out',
  cleaning: 'overwriting what was deleted, step',
  copying: 'pages copied',
};
const EVERY_MS = 100;

/** The same for work that counts runs. */
export async function withRuns<T>(use: (onProgress: (done: number, total: number) => void) => Promise<T>): Promise<T> {
  const { show, end } = showProgress(process.stderr);
  try {
    return await use((done, total) => show({ step: 'runs', done, total }));
  } finally {
    end();
  }
} // prettier-ignore

/** One line that is overwritten, and only where somebody looks. */
export function showProgress(stream: NodeJS.WriteStream): {
  show: (progress: Omit<Progress, 'step'> & { step: Step }) => void;
  end: () => void;
} {
  let shown = 0;
  return {
    show({ step, done, total }) {
      if (!stream.isTTY || Date.now() - shown < EVERY_MS) return;
      shown = Date.now();
      const percent = Math.min(100, Math.floor((100 * done) / Math.max(1, total)));
      stream.write(`\r\u001b[K${STEPS[step]}${step === 'file' ? '' : ` ${done} of ${total} (${percent} %)`}`);
    },
    end() {
      if (shown > 0) stream.write('\r\u001b[K');
    },
  };
}
