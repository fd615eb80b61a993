import { isObject } from '../shared/json.ts';

export interface TaskFailure {
  /** Line of the log; 0 where it has none of its own. */
  n: number;
  /** Null: Ansible itself failed, before or between tasks. */
  task: string | null;
  host: string | null;
  kind: 'failed' | 'unreachable';
  message: string;
  ignored?: boolean;
  rescued?: boolean;
}

const FAILED = /^(?:fatal|failed): \[([^\]]+)\](?:: ([A-Z]+)!)?(?: \(item=(.*?)\))?(?: => ?(.*))?$/;
const ERROR = /^(?:ERROR! |\[ERROR\]: )(.*)$/;
const MESSAGE_CHARACTERS = 1_000;

/** The failure that a line begins; null: it begins none. */
export function failureOf(text: string, task: string | null): Omit<TaskFailure, 'n'> | null {
  const [whole, host = '', state, item, rest = ''] = FAILED.exec(text) ?? [];
  if (whole !== undefined) {
    const message = [item === undefined ? '' : `item ${item}`, messageOf(rest)].filter(Boolean).join(': ');
    const kind = state === 'UNREACHABLE' ? 'unreachable' : 'failed';
    // Of a delegated task the first name is the host of the play, which the recap counts.
    return { task, host: host.split(' -> ')[0] ?? host, kind, message: message.slice(0, MESSAGE_CHARACTERS) };
  }
  const error = ERROR.exec(text)?.[1];
  return error === undefined ? null : { task: null, host: null, kind: 'failed', message: error.slice(0, MESSAGE_CHARACTERS) };
} // prettier-ignore

/** What a result says went wrong, in the default callback's JSON. */
function messageOf(rest: string): string {
  if (!rest.startsWith('{')) return '';
  try {
    const result: unknown = JSON.parse(rest);
    return isObject(result) ? sayingOf(result) : '';
  } catch {
    return /"msg": "((?:[^"\\]|\\.)*)"/.exec(rest)?.[1] ?? rest;
  }
}

/** A command's own words say more than "non-zero return code". */
export function sayingOf(result: Record<string, unknown>): string {
  const text = (name: string): string => {
    const value = result[name];
    return typeof value === 'string' ? value.trim() : Array.isArray(value) ? value.join('; ') : '';
  };
  const said = text('msg') || text('reason') || text('message');
  const stderr = text('stderr') || text('module_stderr');
  return [said, stderr.split('\n').at(-1) ?? ''].filter(Boolean).join(': ');
}

/** A line below a failure, as the yaml callback and multi-line JSON write them, or the continuation of an error. */
export function messageIn(failure: TaskFailure, text: string): void {
  const [, name, value = ''] = /^\s+"?(msg|stderr|reason)"?: (?:\|-?|>-?|(.*?),?)$/.exec(text) ?? [];
  if (name !== undefined && value !== '') {
    const words = value.replace(/^(['"])(.*)\1$/, '$2');
    if (words !== '') failure.message = join(failure.message, words);
    return;
  }
  if (name !== undefined) return void pending.add(failure);
  if (pending.has(failure)) {
    pending.delete(failure);
    failure.message = join(failure.message, text.trim());
  } else if (failure.task === null && failure.message.length < 200) {
    failure.message = join(failure.message, text.trim());
  }
}

/** Failures whose message stands on the line below its name. */
const pending = new WeakSet<TaskFailure>();

function join(before: string, words: string): string {
  if (before.includes(words)) return before;
  return (before === '' ? words : `${before}: ${words}`).slice(0, MESSAGE_CHARACTERS);
}
