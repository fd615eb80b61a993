import { isObject } from '../shared/json.ts';
import { sayingOf, type TaskFailure } from './ansible-failure.ts';
import type { HostRecap } from './ansible-log.ts';

/** What the json callback wrote, if that is what this is. */
export function jsonReport(text: string): { recap: HostRecap[]; failures: TaskFailure[] } | null {
  const end = text.lastIndexOf('\n}');
  if (end < 0) return null;
  let document: unknown;
  try {
    document = JSON.parse(text.slice(0, end + 2));
  } catch {
    return null;
  }
  if (!isObject(document) || !isObject(document['stats']) || !Array.isArray(document['plays'])) return null;
  const recap = Object.entries(document['stats']).map(([host, counts]) => recapOf(host, counts));
  const tasks = objects(document['plays']).flatMap((play) => objects(play['tasks']));
  return { recap, failures: tasks.flatMap(failuresOf) };
}

/** The json callback writes `failures` where the recap on a screen says `failed`. */
function recapOf(host: string, counts: unknown): HostRecap {
  const numbers = Object.entries(isObject(counts) ? counts : {}).filter(([, count]) => typeof count === 'number');
  return { host, ...Object.fromEntries(numbers.map(([name, count]) => [name === 'failures' ? 'failed' : name, count as number])) };
} // prettier-ignore

function failuresOf({ task, hosts }: Record<string, unknown>): TaskFailure[] {
  const name = isObject(task) && typeof task['name'] === 'string' ? task['name'] : null;
  return Object.entries(isObject(hosts) ? hosts : {}).flatMap(([host, result]) => {
    if (!isObject(result) || (result['failed'] !== true && result['unreachable'] !== true)) return [];
    const kind = result['unreachable'] === true ? 'unreachable' : 'failed';
    const ignored = result['_ansible_ignore_errors'] === true || result['ignore_errors'] === true;
    return [{ n: 0, task: name, host, kind, message: sayingOf(result).slice(0, 1_000), ...(ignored && { ignored }) }];
  });
} // prettier-ignore

function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
