import { join } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { loadDriver } from './driver.ts';

/** Answers that are kept; a page of history is the largest of them. */
const MOST = 20;

/** Remembers what the ledger answered for as long as nobody, in whatever process, has written to it. */
export interface Memory {
  recall<T>(question: string, ask: () => Promise<T>): Promise<T>;
  close(): void;
}

/**
 * Whether anything was written is one integer in shared memory (`PRAGMA data_version`), read by a connection of
 * this thread in microseconds; waking another thread takes longer than most answers. Values are shared between
 * callers and must not be changed.
 */
export function createMemory(home: string): Memory {
  const answers = new Map<string, unknown>();
  let db: Database | null = null;
  let version: Statement | null = null;
  let seen: unknown = null;

  /** Opened behind the first answer: then there is a ledger, and nobody waits for the driver to load. */
  const open = (): void => {
    try {
      db ??= new (loadDriver())(join(home, 'ledger.db'), { readonly: true, fileMustExist: true, timeout: 0 });
      version ??= db.prepare('PRAGMA data_version').pluck();
    } catch {
      // Without it every question is asked; what is wrong shows where the ledger itself is opened.
      db = null;
    }
  };
  /** Null: nobody can tell, so nothing that is remembered counts. */
  const look = (): unknown => {
    try {
      return version?.get() ?? null;
    } catch {
      return null;
    }
  };

  return {
    async recall<T>(question: string, ask: () => Promise<T>): Promise<T> {
      // Looked at before asking: an answer may be newer than its version, never older.
      const now = look();
      if (now === null || now !== seen) answers.clear();
      seen = now;
      if (answers.has(question)) return answers.get(question) as T;
      const answer = await ask();
      if (version === null) setImmediate(open);
      if (now !== null && now === seen) {
        if (answers.size >= MOST) answers.clear();
        answers.set(question, answer);
      }
      return answer;
    },
    close() {
      db?.close();
      db = null;
      version = null;
      seen = null;
      answers.clear();
    },
  };
}
