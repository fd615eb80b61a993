import type { OutputSink, Stream } from './executor.ts';

/** What was left out of the middle of a long log, or lost with an engine's own rotated log. */
export interface LogGap {
  lines: number;
  bytes: number;
  /**
   * `cap`: longer than the limit. `engine`: the engine no longer had it when the run was adopted. `store`: the
   * disk did not take it.
   */
  cause: 'cap' | 'engine' | 'store';
}

export interface LogSummary {
  lines: number;
  bytes: number;
  sha256: string;
  gap: LogGap | null;
}

export interface LogLine {
  /** Counts from 1 over both streams in order of arrival. */
  n: number;
  stream: Stream;
  text: string;
}

/** Makes of a piece of output what may be stored. `continues`: its line goes on with the next piece of the stream. */
export type CleanOutput = (text: string, piece: { stream: Stream; continues: boolean }) => string;

/** Appends one run's output: lines are cleaned and redacted, then stored. Only the run's supervisor writes. */
export interface RunLogWriter extends OutputSink {
  /** Ends the log: partial lines are stored, bytes are on disk, the digest is final. */
  close(): Promise<LogSummary>;
  /** Stops writing so that another supervisor may go on; partial lines are left to it. */
  abandon(): Promise<void>;
}

export interface LogSlice {
  lines: LogLine[];
  total_lines: number;
  /** Lines that satisfy stream and pattern over the whole stored log. */
  matches: number;
  gap: (LogGap & { after_line: number }) | null;
}

export interface LogQuery {
  mode: 'head' | 'tail' | 'from' | 'grep';
  lines: number;
  /** First line number for `from` and for `grep`. */
  line: number;
  stream: Stream | null;
  /** True for lines wanted; null: all. */
  matches: ((text: string) => boolean) | null;
}

/** Logs lie beside the ledger, never in its events. */
export interface RunLogs {
  /** `replay`: the sink will be fed from the run's first byte again; what is stored already is skipped. */
  open(run_id: string, options: { replay: boolean; clean: CleanOutput }): Promise<RunLogWriter>;
  /** Null: no log of this run is stored. */
  read(run_id: string, query: LogQuery): Promise<LogSlice | null>;
  /** Runs of which there is a log. */
  ids(): Promise<string[]>;
  /** Deletes what is stored of a run's log. False: there was nothing. */
  remove(run_id: string): Promise<boolean>;
  /** The bytes that the recorded digest is of, as they are stored; nothing if there is no log. */
  bytes(run_id: string): AsyncIterable<Uint8Array>;
}
