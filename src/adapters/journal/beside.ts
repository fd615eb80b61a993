import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { LeaseKind } from '../../runs/run-ledger.ts';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import type { ProcessIdentity } from '../../shared/ports.ts';

const owner = z.object({
  host: z.string(),
  boot_id: z.string(),
  pid_ns: z.string(),
  pid: z.int(),
  pid_start: z.string(),
  place: z.string().optional(),
});
const noteSchema = z.object({
  run_id: z.string(),
  organization: z.string().nullable(),
  workspace: z.string(),
  kind: z.enum(['action', 'workflow']),
  /** Of the block, or of the workflow. */
  name: z.string().nullable(),
  executor: z.string(),
  owner,
  at: z.int(),
});

/** An open run of the database that this data folder executes: what has to be known of it while the database is away. */
export interface OpenRun extends Target {
  run_id: string;
  executor: LeaseKind;
  /** The process that asked for it, and when. */
  owner: ProcessIdentity;
  at: number;
}

/** What only one run at a time may be open of. */
export interface Target {
  organization: string | null;
  workspace: string;
  kind: 'action' | 'workflow';
  name: string | null;
}

const mergesSchema = z.object({
  last: z.object({ at: z.int(), runs: z.int(), bundle: z.string() }).nullable(),
  /** Runs of the journal that are in the database too. */
  merged: z.array(z.string()),
});
export type Merges = z.infer<typeof mergesSchema>;

/** Small files beside the journal: what was known of the database when it was last asked, and what was merged. */
export interface Beside {
  open: {
    put(run: OpenRun): Promise<void>;
    remove(run_id: string): Promise<void>;
    list(): Promise<OpenRun[]>;
  };
  /** The ledger's key for digests, so that plans keep theirs. */
  key: Kept<Uint8Array>;
  /** The digest of the policy that was recorded last. */
  policy: Kept<string>;
  /** The id of the ledger that the journal stands in for. */
  ledger: Kept<string>;
  merges: { read(): Promise<Merges>; write(merges: Merges): Promise<void> };
}

interface Kept<T> {
  read(): Promise<T | null>;
  write(value: T): Promise<void>;
}

/** In `folder`, which is made when first needed; files of mode 0600, written whole or not at all. */
export function createBeside(folder: string): Beside {
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    const path = join(folder, name);
    const draft = `${path}.${randomUUID()}.unfinished`;
    try {
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
      await writeFile(draft, content, { mode: 0o600 });
      await rename(draft, path);
    } catch (cause) {
      await rm(draft, { force: true });
      throw new AppError('ledger_unavailable', `${path} cannot be written: ${messageOf(cause)}`, { cause });
    }
  };
  const read = (name: string): Promise<Buffer | null> =>
    readFile(join(folder, name)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    });
  const noteOf = (run_id: string): string => `open/${run_id}.json`;
  return {
    open: {
      put: (run) => write(noteOf(run.run_id), JSON.stringify(run)),
      remove: (run_id) => rm(join(folder, noteOf(run_id)), { force: true }),
      async list() {
        const names = await readdir(join(folder, 'open')).catch(() => []);
        const texts = await Promise.all(
          names.filter((name) => name.endsWith('.json')).map((name) => read(`open/${name}`)),
        );
        return texts.flatMap((text) => (text ? [noteSchema.parse(JSON.parse(text.toString()))] : [])) as OpenRun[];
      },
    },
    key: kept({ read, write }, 'digests.key', (bytes) => new Uint8Array(bytes)),
    policy: kept({ read, write }, 'policy', String),
    ledger: kept({ read, write }, 'ledger', String),
    merges: {
      async read() {
        const text = await read('merges.json');
        return text ? mergesSchema.parse(JSON.parse(text.toString())) : { last: null, merged: [] };
      },
      write: (merges) => write('merges.json', JSON.stringify(merges)),
    },
  };
} // prettier-ignore

interface Files {
  read(name: string): Promise<Buffer | null>;
  write(name: string, content: string | Uint8Array): Promise<void>;
}

/** Written only where it is another than before. */
function kept<T extends string | Uint8Array>(
  { read, write }: Files,
  name: string,
  from: (bytes: Buffer) => T,
): Kept<T> {
  let last: Buffer | null = null;
  return {
    async read() {
      const bytes = await read(name);
      return bytes && from(bytes);
    },
    async write(value) {
      const bytes = Buffer.from(value as Uint8Array);
      last ??= await read(name);
      if (last?.equals(bytes)) return;
      await write(name, bytes);
      last = bytes;
    },
  };
}
