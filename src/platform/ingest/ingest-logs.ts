import type { RunLedger } from '../../runs/run-ledger.ts';
import type { CleanOutput, LogSummary, RunLogs } from '../../runs/run-log.ts';
import { createOneByOne, type OneByOne } from '../../shared/one-by-one.ts';
import type { FinishedReport } from './reports.ts';

/** Output that came with a report, stored beside the ledger like that of any run. */
export interface IngestLogs {
  /** Replaces what is there. Null: there is no output, or the run is one of this ledger, which has its own log. */
  write(run_id: string, report: Pick<FinishedReport, 'stdout' | 'stderr'>, clean: CleanOutput): Promise<LogSummary | null>;
  /** Of a run that does not exist. */
  drop(run_id: string): Promise<void>;
  /** One after the other: two ends of one run must not write into one log. */
  alone: OneByOne;
} // prettier-ignore

interface LogPorts {
  logs: Pick<RunLogs, 'open' | 'remove'>;
  ledger: Pick<RunLedger, 'find'>;
}

export function createIngestLogs({ logs, ledger }: LogPorts): IngestLogs {
  return {
    async write(run_id, { stdout, stderr }, clean) {
      if (stdout === '' && stderr === '') return null;
      if ((await ledger.find(run_id))?.source === 'ledger') return null;
      await logs.remove(run_id);
      const writer = await logs.open(run_id, { replay: false, clean });
      for (const [stream, text] of [['stdout', stdout], ['stderr', stderr]] as const) {
        if (text !== '' && !writer.write(stream, Buffer.from(text))) await writer.drain();
      }
      return await writer.close();
    },
    drop: async (run_id) => void (await logs.remove(run_id)),
    alone: createOneByOne(),
  };
} // prettier-ignore
