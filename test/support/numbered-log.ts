import { type Connection } from './mcp.ts';

type Streams = Record<'stdout' | 'stderr', string[]>;

/**
 * A script that counts until a file `enough/BLOCK` is in the workspace: every tenth line goes to standard error,
 * with a pause (seconds) after each. The last line tells how many there were before it.
 */
export function counting(pause_s = 0.02): string {
  return `i=0
until [ -e "$POLYCRATE_WORKSPACE/enough/$POLYCRATE_BLOCK" ]; do
  i=$((i + 1))
  if ((i % 10)); then echo "line $i"; else echo "line $i" >&2; fi
  sleep ${pause_s}
done
echo "end $i"`;
}

/** What `counting` writes if it counts so far. */
export function counted(last: number): Streams {
  const all = Array.from({ length: last }, (_, i) => i + 1);
  const text = (i: number): string => `line ${i}`;
  return {
    stdout: [...all.filter((i) => i % 10).map(text), `end ${last}`],
    stderr: all.filter((i) => i % 10 === 0).map(text),
  };
}

/** A run's whole log, read page by page; its line numbers are checked on the way. */
export async function wholeLog({ call }: Pick<Connection, 'call'>, run_id: string): Promise<Streams> {
  const streams: Streams = { stdout: [], stderr: [] };
  for (let line = 1; ;) {
    const { data } = await call('read_action_run_log', { run_id, mode: 'from', line, lines: 1000 });
    for (const { n, stream, text } of data.lines as { n: number; stream: keyof Streams; text: string }[]) {
      if (n !== line) throw new Error(`line ${n} where ${line} was due`);
      streams[stream].push(text);
      line += 1;
    }
    if (data.next === null || data.lines.length === 0) return streams;
  }
}
