import { readdir } from 'node:fs/promises';
import { type OutputSink } from '../../runs/executor.ts';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
const FOLDER = new RegExp(`^${UUID.source}$`);
/** As the CLI's own log has it, in its text and in its JSON form. */
const LOGGED = new RegExp(`\\btxid(?:=|":\\s*)"?(${UUID.source})`);
/** What may be the beginning of a mark whose rest comes with the next chunk. */
const LONGEST_MARK = 64;

export interface TransactionReader {
  /** Hands everything on to the sink of the run. */
  sink: OutputSink;
  /** The CLI's id of this run; null as long as it told none. */
  read(runtimeFolder: string): Promise<string | null>;
}

/**
 * The CLI names its runtime folder by its transaction, and writes it into its log. Only stderr is searched, which is
 * the CLI's own: what an action prints comes on stdout and may claim any transaction.
 */
export function createTransactionReader(sink: OutputSink): TransactionReader {
  let logged: string | null = null;
  let rest = '';
  const search = (chunk: Uint8Array): void => {
    const text = rest + Buffer.from(chunk).toString('latin1');
    logged = LOGGED.exec(text)?.[1] ?? null;
    rest = text.slice(-LONGEST_MARK);
  };
  return {
    sink: {
      write: (stream, chunk) => {
        if (stream === 'stderr' && logged === null) search(chunk);
        return sink.write(stream, chunk);
      },
      drain: () => sink.drain(),
    },
    read: async (runtimeFolder) => {
      const names = await readdir(runtimeFolder).catch(() => []);
      const [folder, ...more] = names.filter((name) => FOLDER.test(name));
      return folder !== undefined && more.length === 0 ? folder : logged;
    },
  };
}
