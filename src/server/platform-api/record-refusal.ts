import type { Identity } from '../../access/identity.ts';
import type { CallEntry, CallRecorder } from '../../runs/trail.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import type { Reply } from './answers.ts';

/** What the trail calls a report; those that were taken are runs, and are not calls besides. */
export const REPORT = 'report';

const NAMES = ['organization', 'workspace', 'block', 'action', 'force'] as const;
const CODES: Record<number, ErrorCode> = { 403: 'refused', 404: 'unknown_name', 503: 'ledger_unavailable' };

export interface Reported {
  identity: Identity;
  /** The address, with the id of the run in it where there is one. */
  pathname: string;
  /** Of it only names are kept: output and configuration may hold anything. */
  body: unknown;
}

/** A report that arrived, to be recorded in case that it is refused. */
export function arrived(recorder: CallRecorder, { identity, pathname, body }: Reported): CallEntry {
  const { principal, roles } = identity;
  const named = isObject(body) ? NAMES.map((name) => [name, body[name]] as const) : [];
  const plain = named.filter(([, value]) => typeof value === 'string' || typeof value === 'boolean');
  const given = { address: pathname, ...Object.fromEntries(plain) };
  return recorder.begin({ tool: REPORT, given, caller: { principal, roles, client: null } });
}

/** Refusals are durable before their answer, as those of tools are. */
export async function recordRefusal(entry: CallEntry, { status, value }: Reply): Promise<void> {
  if (status < 400) return;
  const conflict = isObject(value) && isObject(value['conflict']) ? value['conflict'] : null;
  const code = status === 409 ? (conflict ? 'already_active' : 'refused') : (CODES[status] ?? 'invalid_argument');
  const run_id = conflict ? String(conflict['action_run_id']) : null;
  await entry.end({ outcome: status >= 500 ? 'failed' : 'refused', code, run_id, reads: false });
} // prettier-ignore
