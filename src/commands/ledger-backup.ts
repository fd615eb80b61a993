import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { App } from '../compose.ts';
import { AppError } from '../shared/errors.ts';
import { EXIT, isOn, type LedgerTask } from './ledger.ts';

const LEDGER = 'ledger.db';
const KEY = 'ledger.key';
const PUBLIC_KEY = 'checkpoint-key.pub.pem';
const LOGS = 'logs';

/** A data folder of its own, which `ledger verify --home FOLDER` checks: ledger, its key, public key and logs. */
export async function backup(app: App, to: string, { json }: LedgerTask['options']): Promise<number> {
  const { home } = fileOf(app, 'back up');
  const folder = resolve(to);
  if (existsSync(folder)) throw new AppError('configuration', `${folder} exists: name a folder to make.`);
  await app.verification.check.id();
  const draft = `${folder}.${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    const state = await app.backups.backup(join(draft, LEDGER));
    // After the ledger: each run in it has at least the log that it had then.
    for (const name of [KEY, PUBLIC_KEY, LOGS]) {
      if (existsSync(join(home, name))) await cp(join(home, name), join(draft, name), { recursive: true });
    }
    await rename(draft, folder);
    tell(
      json,
      { ...state, folder },
      `Backed up ${state.size} events of the ledger ${state.ledger}, and the logs, to ${folder}.\n` +
        'The private key for checkpoints is not in it: keep that elsewhere.\n',
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return EXIT.sound;
}

/** Logs first and the ledger last: until its last step everything is as it was. */
export async function restore(app: App, from: string, { force, json }: LedgerTask['options']): Promise<number> {
  const { home } = fileOf(app, 'restore');
  const folder = resolve(from);
  await mkdir(home, { recursive: true, mode: 0o700 });
  // A dry try of the same refusals would tell nothing about the moment itself, hence logs are only ever added.
  if (existsSync(join(folder, LOGS))) {
    await cp(join(folder, LOGS), join(home, LOGS), { recursive: true, force: false });
  }
  const outcome = app.backups.restore(join(folder, LEDGER), isOn(force));
  const { restored, replaced, erasures_undone } = outcome;
  await restoreKey(folder, home);
  const lines = [
    `Restored the ledger ${restored.ledger} with ${restored.size} events.`,
    ...(replaced ? [`What was there, ${replaced.size} events, is in ${replaced.file} now.`] : []),
    ...(erasures_undone > 0
      ? [`It had erased people ${erasures_undone} times since; the restored ledger holds them: erase them again.`]
      : []),
    'An older copy is as sound as any: only `ledger verify --anchor FILE` tells that newer events are missing.',
  ];
  tell(json, outcome, `${lines.join('\n')}\n`);
  return EXIT.sound;
} // prettier-ignore

/** Digests and tombstones of a ledger are made with its key; another one that is there is kept. */
async function restoreKey(folder: string, home: string): Promise<void> {
  const [from, to] = [join(folder, KEY), join(home, KEY)];
  if (!existsSync(from)) return;
  if (existsSync(to)) {
    if ((await readFile(to)).equals(await readFile(from))) return;
    await copyFile(to, `${to}.replaced-${randomBytes(4).toString('hex')}`);
  }
  const draft = `${to}.${randomBytes(4).toString('hex')}`;
  await copyFile(from, draft);
  await rename(draft, to);
}

function fileOf({ config }: App, what: string): { home: string } {
  if (config.databaseUrl === null) return { home: config.home };
  throw new AppError('configuration', `the ledger lies in PostgreSQL: ${what} the database with its own tools`, {
    next: 'pg_dump and pg_restore, or the backups of your database service; logs are in the data folder',
  });
} // prettier-ignore

function tell(json: string | undefined, outcome: object, text: string): void {
  process.stdout.write(isOn(json) ? `${JSON.stringify(outcome, null, 2)}\n` : text);
}
