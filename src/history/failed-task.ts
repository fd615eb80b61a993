import type { LogLine } from '../runs/run-log.ts';

const TASK = /^(?:TASK|RUNNING HANDLER|PLAY|PLAY RECAP) ?\[?.*\*{3,}$/;
const FAILURE = /^(?:fatal|failed): \[|^ERROR! |^\[ERROR\]/;

/** The lines of Ansible tasks in which a host failed, each from its heading to the next heading. */
export function failedTaskLines(lines: readonly LogLine[]): LogLine[] {
  const kept: LogLine[] = [];
  let block: LogLine[] = [];
  const close = (): void => {
    if (block.some(({ text }) => FAILURE.test(text))) kept.push(...block.filter(({ text }) => text !== ''));
    block = [];
  };
  for (const line of lines) {
    if (TASK.test(line.text)) close();
    block.push(line);
  }
  close();
  return kept;
}
