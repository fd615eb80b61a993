import type { Progress } from '../runs/verify.ts';

const STEPS: Record<Progress['step'], string> = {
  file: 'checking the file',
  events: 'events',
  runs: 'runs',
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
  show: (progress: Progress) => void;
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
