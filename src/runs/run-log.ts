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
  /** True for lines wanted; null: all. Called for each line in order, with its number. */
  matches: ((text: string, n: number) => boolean) | null;
}

/** Logs lie beside the ledger, never in its events. */
export interface RunLogs {
  /** `replay`: the sink will be fed from the run's first byte again; what is stored already is skipped. */
  open(run_id: string, options: { replay: boolean; clean: CleanOutput }): Promise<RunLogWriter>;
  /**
   * Stores a log that is known as a whole, unless there is one: readers, and who asks for the same at the same time, see
   * all of it or nothing, also after a crash. False: there is one, or nothing to store. Rejects if the disk took less.
   */
  put(run_id: string, output: readonly (readonly [Stream, string])[], clean: CleanOutput): Promise<boolean>;
  /** Null: no log of this run is stored. */
  read(run_id: string, query: LogQuery): Promise<LogSlice | null>;
  /** Runs of which there is a log. */
  ids(): Promise<string[]>;
  /** Deletes what is stored of a run's log. False: there was nothing. */
  remove(run_id: string): Promise<boolean>;
  /** The bytes that the recorded digest is of, as they are stored; nothing if there is no log. */
  bytes(run_id: string): AsyncIterable<Uint8Array>;
}

export interface PieceSize {
  /** 0 is the beginning; later ones are of the end, and the oldest of those leave a log that is longer than its limit. */
  piece: number;
  bytes: number;
}

/** What is stored of logs, as it is stored: how a log gets into another store, byte by byte and while it is written. */
export interface LogPieces {
  /** In order, up to the last whole line of each; empty: there is no log. */
  sizes(run_id: string): Promise<PieceSize[]>;
  /** SHA-256 of the first so many bytes of a piece, or of all where it has fewer; null: it left. */
  digest(run_id: string, size: PieceSize): Promise<string | null>;
  /** Whole lines from that byte on, about so many characters; empty: there is no whole line more. */
  read(run_id: string, from: { piece: number; offset: number }, characters: number): Promise<string>;
  /**
   * From that byte on the piece is these lines and nothing else, unless they are there already with more after them;
   * answers the byte after them. Where it has fewer bytes nothing is written, and it answers those. Throws
   * `invalid_argument` if they are no lines of a log, `refused` if the log would be longer than it may be.
   */
  write(run_id: string, at: { piece: number; offset: number }, text: string): Promise<number>;
  drop(run_id: string, piece: number): Promise<void>;
}
