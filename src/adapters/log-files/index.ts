import type { LogLine, LogQuery, LogSlice, RunLogs } from '../../runs/run-log.ts';
import { openAppender } from './appender.ts';
import { bytesOf, headFile, scanSegment, segmentsOf, type Segment } from './files.ts';
import { createLogWriter, gapOf } from './writer.ts';

/** Run logs as files below `home/logs`, one set per run, at most `maxBytes` each. */
export function createLogFiles({ home, maxBytes }: { home: string; maxBytes: number }): RunLogs {
  return {
    async open(run_id, { replay, clean }) {
      const head = headFile(home, run_id);
      const appender = await openAppender(head, maxBytes);
      return createLogWriter({ head, appender, replay, clean });
    },
    read: (run_id, query) => read(headFile(home, run_id), query),
    bytes: (run_id) => bytesOf(headFile(home, run_id)),
  };
}

async function read(head: string, query: LogQuery): Promise<LogSlice | null> {
  const numbers = await segmentsOf(head);
  if (numbers.length === 0) return null;
  const collector = createCollector(query);
  const segments: Segment[] = [];
  for (const number of numbers) segments.push(await scanSegment(head, number, collector.take));
  return {
    lines: collector.lines(),
    matches: collector.matches(),
    total_lines: segments.at(-1)!.end.lines,
    gap: gapOf(segments),
  };
}

/** Keeps at most the wanted lines while the whole log passes by. */
function createCollector({ mode, lines: wanted, line, stream, matches }: LogQuery): {
  take: (stored: { stream: LogLine['stream']; text: string }, n: number) => void;
  lines: () => LogLine[];
  matches: () => number;
} {
  const kept: LogLine[] = [];
  let matching = 0;
  return {
    take(stored, n) {
      if (stream && stored.stream !== stream) return;
      if (matches && !matches(stored.text)) return;
      matching += 1;
      if ((mode === 'from' || mode === 'grep') && n < line) return;
      if (mode !== 'tail' && kept.length >= wanted) return;
      kept.push({ n, stream: stored.stream, text: stored.text });
      // Trimmed in bulk: shifting one by one would be quadratic on long logs.
      if (mode === 'tail' && kept.length > 2 * wanted + 1000) kept.splice(0, kept.length - wanted);
    },
    lines: () => (mode === 'tail' ? kept.slice(-wanted) : kept),
    matches: () => matching,
  };
}
