import type { Client } from 'pg';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/ports.ts';
import { createWaiters } from '../../shared/waiters.ts';
import type { LedgerWatch } from '../../runs/run-ledger.ts';
import type { Database } from './database.ts';

/** How long a wait may last: notifications get lost with their connection, and poolers may not pass them on. */
const HEARING_MS = 5_000;
const DEAF_MS = 1_000;

export interface Watch extends LedgerWatch {
  /** Something was written by this process. */
  wake(): void;
  close(): Promise<void>;
}

/** What is told of on a channel: writes to the ledger, or calls on their way to runners. */
export type Channel = 'ledger_channel' | 'ledger_calls_channel';

/** Wakes waiting readers when a transaction of any replica has committed: one connection that listens. */
export function createWatch(
  db: Pick<Database, 'client' | 'read'>,
  log: Log,
  channel: Channel = 'ledger_channel',
): Watch {
  const { wait, wake } = createWaiters();
  let ear: Promise<Client | null> | null = null;
  let hearing = false;
  let closed = false;

  const listen = async (): Promise<Client | null> => {
    const client = db.client();
    const lost = (): void => {
      hearing = false;
      ear = null;
      client.end().catch(() => undefined);
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', wake);
    try {
      await client.connect();
      // Its owner waits with a timer; the connection alone keeps no process alive.
      (client as Client & { unref(): void }).unref();
      const { rows } = await client.query<{ channel: string }>(`SELECT ${channel}() AS channel`);
      await client.query(`LISTEN ${client.escapeIdentifier(rows[0]!.channel)}`);
      hearing = true;
      // What was written before could not be heard.
      wake();
      return client;
    } catch (error) {
      log('debug', 'cannot listen for changes of the ledger, looking instead', { error: messageOf(error) });
      // The next wait tries again, but not at once.
      setTimeout(lost, DEAF_MS).unref();
      return null;
    }
  };

  return {
    wake,
    async changed(max_ms, signal) {
      if (!closed) ear ??= listen();
      await wait(Math.min(max_ms, hearing ? HEARING_MS : DEAF_MS), signal);
    },
    async close() {
      closed = true;
      wake();
      await (await ear)?.end().catch(() => undefined);
    },
  };
}
