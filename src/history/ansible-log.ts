import { cleanLine } from '../shared/clean-text.ts';
import { failureOf, messageIn, type TaskFailure } from './ansible-failure.ts';
import { jsonReport } from './ansible-json.ts';

/** One host's line of the recap, as Ansible counts. */
export type HostRecap = { host: string } & Record<string, string | number>;

/** What an Ansible log says happened; null fields do not occur, an empty list means that it says nothing. */
export interface AnsibleReport {
  recap: HostRecap[];
  /** The first ones; how many there are in all, and how many of them were ignored or rescued, is counted. */
  failures: TaskFailure[];
  total_failures: number;
  survived: number;
  changed: string[];
}

export interface AnsibleReader {
  /** Lines in order, of one log. */
  take(text: string, n: number): void;
  /** Null: this is no log of Ansible. */
  report(): AnsibleReport | null;
  /** Lines that tell of failures: headings of tasks, and what failed hosts said; `total` in the whole log, `ahead` from the first one wanted on. */
  lines(): { lines: { n: number; text: string }[]; total: number; ahead: number };
}

const HEADING = /^(TASK|RUNNING HANDLER|PLAY RECAP|PLAY) ?(?:\[(.*)\] )?\*{3,}$/;
/** Neither a heading nor a host's line of the recap is longer. */
const LONGEST = 1_000;
const RESULT = /^(?:ok|changed|skipping|fatal|failed|included|rescued|ignored|unreachable): /;
const RECAP = /^(\S.*?)\s+: ((?:\w+=\d+(?:\s+|$)){2,})$/;
/** Of a log with more failures the first ones are kept: later ones follow from them. */
const MOST_FAILURES = 200;
const MOST_LINES = 1_000;
const MOST_RECAPS = 20_000;
const JSON_CHARACTERS = 8_000_000;

/**
 * Reads a log while it passes by, in bounded memory, whatever callback wrote it (default, yaml, json; colours, -v).
 * `from`: lines that tell of failures are kept from there on.
 */
export function createAnsibleReader(from = 1): AnsibleReader {
  const recap = new Map<string, HostRecap>();
  const failures: TaskFailure[] = [];
  const tally = createTally();
  const lines: { n: number; text: string }[] = [];
  let [total, ahead] = [0, 0];
  let heading: { n: number; text: string; task: string | null; told: boolean } | null = null;
  let open: TaskFailure | null = null;
  let seen = false;
  let json: string[] | null = null;
  let jsonSize = 0;
  const keep = (n: number, text: string): void => {
    total += 1;
    if (n < from) return;
    ahead += 1;
    if (lines.length < MOST_LINES) lines.push({ n, text });
  };
  const begin = (failure: TaskFailure, n: number, text: string): void => {
    if (heading && !heading.told) keep(heading.n, heading.text);
    if (heading) heading.told = true;
    keep(n, text);
    seen = true;
    open = failure;
    tally.add(failure);
    if (failures.length < MOST_FAILURES) failures.push(failure);
  };
  const follow = (text: string, n: number): void => {
    if (!open || text === '') return;
    keep(n, text);
    if (text.trim() === '...ignoring') {
      open.ignored = true;
      tally.ignore(open);
    } else messageIn(open, text);
  };
  const collectJson = (text: string): void => {
    if (json === null && text === '{') json = [];
    if (json === null || jsonSize > JSON_CHARACTERS) return;
    jsonSize += text.length;
    json.push(text);
  };
  return {
    take(raw, n) {
      const text = cleanLine(raw);
      collectJson(text);
      const [, kind, name] = text.endsWith('***') ? (HEADING.exec(text.slice(-LONGEST)) ?? []) : [];
      if (kind !== undefined) {
        seen = true;
        open = null;
        heading = { n, text, task: kind.startsWith('PLAY') ? null : (name ?? null), told: false };
        return;
      }
      const failure = failureOf(text, heading?.task ?? null);
      if (failure) return begin({ ...failure, n }, n, text);
      const [, host, counts] =
        heading?.text.startsWith('PLAY RECAP') && text.length < LONGEST ? (RECAP.exec(text) ?? []) : [];
      if (host !== undefined && recap.size < MOST_RECAPS) addRecap(recap, host, counts ?? '');
      else if (RESULT.test(text)) open = null;
      else follow(text, n);
    },
    report() {
      const fromJson = json && jsonSize <= JSON_CHARACTERS ? jsonReport(json.join('\n')) : null;
      if (fromJson)
        return finished(
          fromJson.recap,
          fromJson.failures.slice(0, MOST_FAILURES),
          tallyOf(fromJson.failures),
        );
      return seen ? finished([...recap.values()], failures, tally) : null;
    },
    lines: () => ({ lines, total, ahead }),
  };
}

/** Several playbooks in one log add up. */
function addRecap(recap: Map<string, HostRecap>, host: string, counts: string): void {
  const sum = recap.get(host) ?? { host };
  for (const [, name = '', count = '0'] of counts.matchAll(/(\w+)=(\d+)/g)) {
    sum[name] = Number(sum[name] ?? 0) + Number(count);
  }
  recap.set(host, sum);
}

/** All failures of each host, and those that were ignored; null: of no host. */
interface Tally {
  of: Map<string | null, { all: number; ignored: number }>;
  add(failure: TaskFailure): void;
  ignore(failure: TaskFailure): void;
}

function createTally(): Tally {
  const of: Tally['of'] = new Map();
  const countsOf = ({ host }: TaskFailure): { all: number; ignored: number } => {
    // Of more hosts than a recap can have it is not told whose failures they were.
    const key = of.has(host) || of.size < MOST_RECAPS ? host : null;
    const counts = of.get(key) ?? { all: 0, ignored: 0 };
    of.set(key, counts);
    return counts;
  };
  return {
    of,
    add: (failure) => void (countsOf(failure).all += 1),
    ignore: (failure) => void (countsOf(failure).ignored += 1),
  };
}

function tallyOf(failures: readonly TaskFailure[]): Tally {
  const tally = createTally();
  for (const failure of failures) {
    tally.add(failure);
    if (failure.ignored) tally.ignore(failure);
  }
  return tally;
}

/** A failure on a host that the recap does not count as failed was rescued or ignored. */
function finished(recap: HostRecap[], failures: TaskFailure[], { of: counted }: Tally): AnsibleReport {
  const saved = new Set(recap.filter(isSaved).map(({ host }) => host));
  for (const failure of failures) {
    if (failure.host !== null && saved.has(failure.host) && !failure.ignored) failure.rescued = true;
  }
  let [total_failures, survived] = [0, 0];
  for (const [host, { all, ignored }] of counted) {
    total_failures += all;
    survived += host !== null && saved.has(host) ? all : ignored;
  }
  return {
    recap,
    failures,
    total_failures,
    survived,
    changed: recap.filter(({ changed }) => Number(changed ?? 0) > 0).map(({ host }) => host),
  };
}

function isSaved(host: HostRecap): boolean {
  const of = (name: string): number => Number(host[name] ?? 0);
  return of('failed') === 0 && of('unreachable') === 0 && of('rescued') > 0;
}

/** One sentence, so that most failures need no look at the log. */
export function sentenceOf({ recap, failures, total_failures, survived, changed }: AnsibleReport): string {
  const first = failures.find(({ ignored, rescued }) => !ignored && !rescued);
  const real = total_failures - survived;
  const hosts = recap.length === 0 ? [] : [`${recap.length} ${recap.length === 1 ? 'host' : 'hosts'}`];
  const failed = recap.filter((host) => Number(host['failed'] ?? 0) + Number(host['unreachable'] ?? 0) > 0);
  const parts = [
    ...hosts,
    ...(failed.length > 0 ? [`failed: ${some(failed.map(({ host }) => host))}`] : []),
    ...(recap.length > 0 ? [`changed: ${some(changed)}`] : []),
    ...(survived > 0 ? [`${survived} ignored or rescued`] : []),
  ];
  if (!first) {
    const later =
      real > 0 ? [`${real} failed after the first ${MOST_FAILURES}, which were ignored or rescued`] : [];
    return [...later, ...parts].join('; ') || 'no result of a host';
  }
  const where = first.host === null ? '' : ` on ${first.host}`;
  const what = first.task === null ? `Ansible ${first.kind}` : `task "${first.task}" ${first.kind}`;
  const more = real > 1 ? ` (and ${real - 1} more)` : '';
  return [`${what}${where}: ${first.message.slice(0, 300) || 'without a message'}${more}`, ...parts].join(
    '; ',
  );
}

function some(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  return names.length <= 5
    ? names.join(', ')
    : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}
