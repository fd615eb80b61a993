import { randomBytes } from 'node:crypto';
import { readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import type { App } from '../compose.ts';
import type { LedgerVerb } from '../config.ts';
import { parseCheckpoint, type Checkpoint } from '../runs/checkpoint.ts';
import { verifyLedger, type Verification, type VerifyRequest } from '../runs/verify-ledger.ts';
import { canonicalJson } from '../shared/json.ts';
import { AppError, codeOf, messageOf } from '../shared/errors.ts';
import { checkBundle, exportRuns, importRuns } from './ledger-bundle.ts';
import { asJson, asText } from './ledger-report.ts';
import { showProgress } from './ledger-progress.ts';

/** What scripts may rely on; 1 and 2 are those of the whole program. */
export const EXIT = { sound: 0, tampered: 3, not_provable: 4 } as const;

export interface LedgerTask {
  verb: LedgerVerb;
  args: readonly string[];
  options: Readonly<Record<string, string>>;
}

/** Work on the whole ledger, for operators and auditors. Answers the exit code. */
export async function ledger(app: App, { verb, args, options }: LedgerTask): Promise<number> {
  try {
    switch (verb) {
      case 'verify':
        return await verify(app, options);
      case 'checkpoint':
        return await checkpoint(app, options);
      case 'export':
        return await exportRuns(app, options);
      case 'verify-bundle':
        return await checkBundle(app, args[0]!, options);
      case 'import':
        return await importRuns(app, args[0]!, options);
    }
  } finally {
    await app.close();
  }
}

async function verify(app: App, { anchor, incremental, json }: LedgerTask['options']): Promise<number> {
  const verification = await check(app, {
    anchor: anchor === undefined ? null : await readAnchor(anchor),
    incremental: isOn(incremental),
  });
  process.stdout.write(isOn(json) ? asJson(verification) : asText(verification));
  return EXIT[verification.result];
}

export async function check({ verification }: App, request: VerifyRequest): Promise<Verification> {
  const progress = showProgress(process.stderr);
  try {
    return await verifyLedger(verification, { ...request, onProgress: progress.show });
  } finally {
    progress.end();
  }
}

/** Only what was verified is signed, and an older anchor in the same file is never replaced unchecked. */
async function checkpoint(app: App, { out }: LedgerTask['options']): Promise<number> {
  const file = out === undefined ? null : resolve(out);
  const keys = app.verification.keys();
  const older = file === null ? null : await readAnchor(file, 'if there');
  const verification = await check(app, { anchor: older, incremental: true });
  if (verification.result === 'tampered') {
    process.stderr.write(asText(verification));
    process.stderr.write('No checkpoint was made: it would vouch for a ledger that is not in order.\n');
    return EXIT.tampered;
  }
  if (!verification.checkpoint) throw noPrivateKey();
  await handOut(verification.checkpoint, file);
  const { at, size } = verification.checkpoint;
  await app.verification.check.note({ anchor: { at, size, file } });
  process.stderr.write(
    `Checkpoint of ${size} events of the ledger ${verification.ledger}${file === null ? '' : `, written to ${file}`}.\n` +
      'Keep it where whoever can write the ledger cannot write, with this public key, which is also in\n' +
      `${keys.publicFile}:\n${keys.publicText}`,
  );
  if (file !== null && (await liesWithin(file, app.config.home))) {
    process.stderr.write(`${file} lies in the data folder: there it is lost or replaced with the ledger.\n`);
  }
  return EXIT.sound;
}

export function noPrivateKey(): AppError {
  return new AppError('configuration', 'there is no private key here to sign a checkpoint with', {
    next: 'name it with POLYCRATE_MCP_SIGNING_KEY_FILE',
  });
}

async function handOut(signed: Checkpoint, file: string | null): Promise<void> {
  const text = `${canonicalJson(signed)}\n`;
  if (file === null) return void process.stdout.write(text);
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, text, { flag: 'wx' });
  await rename(draft, file);
}

async function readAnchor(file: string): Promise<NonNullable<VerifyRequest['anchor']>>;
async function readAnchor(file: string, missing: 'if there'): Promise<VerifyRequest['anchor']>;
async function readAnchor(file: string, missing?: 'if there'): Promise<VerifyRequest['anchor']> {
  try {
    return { checkpoint: parseCheckpoint(await readFile(file, 'utf8')), name: `the anchor ${file}` };
  } catch (error) {
    if (missing && codeOf(error) === 'ENOENT') return null;
    throw new AppError('configuration', `${file} cannot be used as an anchor: ${messageOf(error)}.`, {
      next: '`polycrate-mcp ledger checkpoint --out FILE` writes one',
    });
  }
}

async function liesWithin(file: string, folder: string): Promise<boolean> {
  const [inner, outer] = await Promise.all([realpath(dirname(file)), realpath(folder)]);
  return `${inner}${sep}`.startsWith(`${outer}${sep}`);
}

export function isOn(option: string | undefined): boolean {
  return option !== undefined && option !== 'false';
}
