import { AppError } from '../shared/errors.ts';
import type { RunFilters } from './search.ts';

/** Refuses filters that no run can satisfy: an exact zero would be true, and read as an answer. */
export function refuseContradictions(filters: RunFilters): void {
  const { status, exit_code, time_field, span, organization, workspace } = filters;
  const open = status?.every((one) => one === 'pending' || one === 'running') ?? false;
  if (exit_code !== undefined && open) {
    throw contradiction('status', 'exit_code', 'a run has no exit code before it has ended');
  }
  if (exit_code !== undefined && status?.every((one) => one === 'success') && !exit_code.includes(0)) {
    throw contradiction('status', 'exit_code', 'status success means exit code 0');
  }
  if (time_field === 'finished' && open && (span.since !== null || span.until !== null)) {
    throw contradiction('status', 'time_field', 'an open run has not finished');
  }
  const foreign = workspace?.every((name) => elsewhere(name, organization)) ?? false;
  if (foreign) throw contradiction('organization', 'workspace', 'the workspace names another organization');
}

/** True for an address whose organization is not among those asked for. */
function elsewhere(name: string, organizations: readonly string[] | undefined): boolean {
  const slash = name.indexOf('/');
  return organizations !== undefined && slash > 0 && !organizations.includes(name.slice(0, slash));
}

function contradiction(one: string, other: string, why: string): AppError {
  return new AppError('invalid_argument', `${one} and ${other} contradict each other: ${why}`, {
    next: `repeat the call without ${one} or without ${other}`,
  });
}
