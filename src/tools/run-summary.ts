import { createAnsibleReader, sentenceOf } from '../history/ansible-log.ts';
import { isOpen, type ActionRun } from '../runs/action-run.ts';
import type { Services } from './services.ts';

/** A log that is longer is read from its end only: the recap stands there, and most failures do. */
const WHOLE_BYTES = 16_000_000;
const END_LINES = 5_000;
const ONLY_THE_END = `; of the last ${END_LINES} lines of the log, failed_task_only reads all`;
const MOST_REMEMBERED = 200;

/** Sentences of logs that do not change any more. */
const remembered = new WeakMap<object, Map<string, string | null>>();

/** What an ended run's Ansible log says in one sentence, so that most failures need no look at it; null: nothing. */
export async function summaryOf({ logs }: Pick<Services, 'logs'>, run: ActionRun): Promise<string | null> {
  if (isOpen(run) || run.log === null || run.log.lines === 0) return null;
  let known = remembered.get(logs);
  if (!known) remembered.set(logs, (known = new Map<string, string | null>()));
  const earlier = known.get(run.id);
  if (earlier !== undefined) return earlier;
  const sentence = await read(logs, run);
  const [oldest] = known.keys();
  if (known.size >= MOST_REMEMBERED && oldest !== undefined) known.delete(oldest);
  known.set(run.id, sentence);
  return sentence;
}

async function read(logs: Services['logs'], run: ActionRun): Promise<string | null> {
  const reader = createAnsibleReader();
  const query = { line: 1, stream: null, lines: END_LINES } as const;
  const whole = (run.log?.bytes ?? 0) <= WHOLE_BYTES;
  const matches = (text: string, n: number): boolean => {
    reader.take(text, n);
    return false;
  };
  const slice = await logs.read(run.id, { ...query, mode: 'tail', matches: whole ? matches : null });
  if (!whole) for (const { text, n } of slice?.lines ?? []) reader.take(text, n);
  const report = reader.report();
  return report && `${sentenceOf(report)}${whole ? '' : ONLY_THE_END}`;
}
