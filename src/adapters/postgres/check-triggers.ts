import type { Finding } from '../../ledger/verify.ts';
import type { Query } from './database.ts';

const TRIGGERS = ['events_never_change', 'event_private_never_changes'];

/** The triggers that refuse changes and are not there, or do not fire. */
export async function missingTriggers(query: Query): Promise<string[]> {
  // 'A': fires always, also where a session calls itself a replica.
  const rows = await query<{ tgname: string }>(
    `SELECT tgname::text FROM pg_trigger WHERE tgenabled = 'A'
     AND tgrelid IN ('events'::regclass, 'event_private'::regclass)`,
  );
  return TRIGGERS.filter((wanted) => !rows.some(({ tgname }) => tgname === wanted));
}

export function lostTrigger(name: string): Finding {
  const says = `the trigger ${name}, which refuses changes of events, is gone or switched off`;
  return { fault: 'storage', says };
}
