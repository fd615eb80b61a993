import type { App } from '../../compose.ts';
import type { Services } from '../../tools/services.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { count } from '../count.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

/** Whether each Polycrate API answers, and what could not be reported. */
export async function checkApi({ apis, config }: Pick<App, 'apis' | 'config'>): Promise<Finding[]> {
  const { endpoints, problems, warnings } = await apis.setup();
  const findings: Finding[] = [
    ...problems.map((text) => problem(`Polycrate API: ${text}`)),
    ...warnings.map((text) => warning(`Polycrate API: ${text}`)),
  ];
  for (const { name, url, submit } of endpoints) {
    const reported = submit && config.submit !== 'none' ? 'runs are reported' : 'runs are not reported';
    try {
      const api = await apis.open(name);
      const { count: seen } = await api!.organizations({ page_size: 1 }, { within_ms: PATIENCE_MS });
      findings.push(
        ok(`Polycrate API ${name} (${url}) answers: ${count(seen, 'organization')}, ${reported}`),
      );
    } catch (error) {
      const fix = error instanceof AppError ? error.next : undefined;
      findings.push(problem(messageOf(error), fix ? { fix } : {}));
    }
  }
  if (endpoints.length > 0 && config.remoteRetrigger) {
    findings.push(
      ok("Polycrate APIs may be asked to execute runs whose workspace is not here (mode: 'remote')"),
    );
  }
  if (findings.length === 0) findings.push(ok('no Polycrate API is configured: runs are reported nowhere'));
  return findings;
}

const PATIENCE_MS = 5_000;

/** Asked only where there is a ledger. */
export async function checkOutbox({ outbox }: Pick<App, 'outbox'>): Promise<Finding[]> {
  const { waiting, dead } = await outbox.standing();
  return [
    ...(waiting > 0 ? [ok(`${count(waiting, 'run')} to be reported to the Polycrate API`)] : []),
    ...(dead > 0
      ? [
          warning(`${count(dead, 'run')} could not be reported to the Polycrate API`, {
            fix: 'see `polycrate-mcp outbox list`, then `polycrate-mcp outbox retry`',
          }),
        ]
      : []),
  ];
}

/** How far and how fresh the history of others is. */
export async function checkSyncs({
  foreign,
  clock,
}: Pick<Services, 'foreign' | 'clock'>): Promise<Finding[]> {
  return (await foreign.standings()).map(
    ({ source, endpoint, runs, success_at, problem: trouble, missing }) => {
      const what = source === 'api' ? `the Polycrate API ${endpoint}` : `${source} of ${endpoint}`;
      const age =
        success_at === null ? 'never read to the end' : `as of ${ageOf(clock.now() - success_at)} ago`;
      const text = `history from ${what}: ${count(runs ?? 0, 'run')}, ${age}${missing === null ? '' : `; ${missing}`}`;
      if (trouble === null) return ok(text);
      const since = new Date(trouble.at).toISOString();
      return warning(`${text}; not read since ${since}: ${trouble.says}`, {
        fix: source === 'api' ? 'see `polycrate-mcp mirror sync`' : 'see whether its files can be read',
      });
    },
  );
}

function ageOf(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 120) return count(minutes, 'minute');
  return minutes < 48 * 60
    ? count(Math.round(minutes / 60), 'hour')
    : count(Math.round(minutes / 1_440), 'day');
}
