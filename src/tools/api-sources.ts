import type { SubmissionStanding } from '../platform/submit.ts';
import { iso } from './present-run.ts';

/** The Polycrate APIs, how far they answer, and what is still to be reported to them. Nothing where none is configured. */
export function apiSources(reports: SubmissionStanding): Record<string, unknown>[] {
  const { endpoints, problems, waiting, dead, oldest_at } = reports;
  const sources: Record<string, unknown>[] = endpoints.map(({ name, url, submit, last_ok_at, down_since, problem }) => ({
    source: 'api',
    endpoint: name,
    url,
    submission: submit ? 'on' : 'off',
    answered: iso(last_ok_at),
    ...(down_since !== null && { down_since: iso(down_since), problem }),
  }));
  const outbox = { waiting, given_up: dead, oldest: iso(oldest_at), ...(dead > 0 && { next: 'an operator runs `polycrate-mcp outbox list`' }) };
  if (waiting + dead > 0) sources.push({ source: 'api', undelivered: outbox });
  return [...sources, ...problems.map((problem) => ({ source: 'api', problem }))];
} // prettier-ignore
