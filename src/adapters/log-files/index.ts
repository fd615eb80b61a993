import { rm } from 'node:fs/promises';
import type { LogLine, LogQuery, LogSlice, RunLogs } from '../../runs/run-log.ts';
import { openAppender } from './appender.ts';
import { begun, bytesOf, headFile, logIds, scanLog, segmentFile, segmentsOf } from './files.ts';
import { createPut } from './put.ts';
import { createLogWriter, gapOf } from './writer.ts';

/** Run logs as files below `home/logs`, one set per run, at most `maxBytes` each. */
export function createLogFiles({ home, maxBytes }: { home: string; maxBytes: number }): RunLogs {
  return {
    async open(run_id, { replay, clean }) {
      const head = headFile(home, run_id);
      const appender = await openAppender(head, maxBytes);
      return createLogWriter({ head, appender, replay, clean });
    },
    put: createPut({ home, maxBytes }),
    read: (run_id, query) => read(headFile(home, run_id), query),
    ids: () => logIds(home),
    remove: (run_id) => remove(headFile(home, run_id)),
    bytes: (run_id) => bytesOf(headFile(home, run_id)),
  };
}

/** The head last: while it is there, the log is found again after an interruption. */
async function remove(head: string): Promise<boolean> {
  const numbers = (await segmentsOf(head)).reverse();
  for (const number of numbers) await rm(segmentFile(head, number), { force: true });
  return numbers.length > 0;
}

async function read(head: string, query: LogQuery): Promise<LogSlice | null> {
  const collector = createCollector(query);
  const segments = begun(await scanLog(head, collector.take));
  if (segments.length === 0) return null;
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
      if (matches && !matches(stored.text, n)) return;
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
