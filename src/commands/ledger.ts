import { realpath } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { anchorPlace, anchorText, GIT } from '../adapters/host/anchor-places.ts';
import type { App } from '../compose.ts';
import type { LedgerVerb } from '../config.ts';
import type { AnchorPlace } from '../ledger/anchor.ts';
import { verifyLedger, type Verification, type VerifyRequest } from '../ledger/verify-ledger.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { checkBundle, exportRuns, importRuns } from './ledger-bundle.ts';
import { printed } from './printed.ts';
import { asJson, asText } from './ledger-report.ts';
import { backup, restore } from './ledger-backup.ts';
import { erase } from './ledger-erase.ts';
import { prune } from './ledger-prune.ts';
import { showProgress } from './ledger-progress.ts';

/** What scripts may rely on; 1 and 2 are those of the whole program. */
export const EXIT = { sound: 0, tampered: 3, not_provable: 4, printed: 3, unclean: 5 } as const;

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
      case 'printed':
        return (await printed(app)) === 0 ? 0 : EXIT.printed;
      case 'erase':
        return await erase(app, options);
      case 'prune':
        return await prune(app, options);
      case 'backup':
        return await backup(app, args[0]!, options);
      case 'restore':
        return await restore(app, args[0]!, options);
    }
  } finally {
    await app.close();
  }
}

async function verify(app: App, { anchor, incremental, json }: LedgerTask['options']): Promise<number> {
  const verification = await check(app, {
    anchor: anchor === undefined ? null : await givenAnchor(app, anchor),
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
async function checkpoint(app: App, options: LedgerTask['options']): Promise<number> {
  const place = placeOf(app, options);
  const keys = app.verification.keys();
  const older = place && (await readAnchor(app, place));
  const verification = await check(app, { anchor: older, incremental: true });
  if (verification.result === 'tampered') {
    process.stderr.write(asText(verification));
    process.stderr.write('No checkpoint was made: it would vouch for a ledger that is not in order.\n');
    return EXIT.tampered;
  }
  if (!verification.checkpoint) throw noPrivateKey();
  if (place) await place.write(verification.checkpoint);
  if (!place || isOn(options['json'])) process.stdout.write(anchorText(verification.checkpoint));
  const { at, size } = verification.checkpoint;
  await app.verification.check.note({ anchor: { at, size, place: place?.name ?? null } });
  process.stderr.write(
    `Checkpoint of ${size} events of the ledger ${verification.ledger}${place ? `, written to ${place.name}` : ''}.\n` +
      'Keep it where whoever can write the ledger cannot write, with this public key, which is also in\n' +
      `${keys.publicFile}:\n${keys.publicText}`,
  );
  if (place && (await liesWithin(pathOf(place.name), app.config.home))) {
    process.stderr.write(
      `${place.name} lies in the data folder: there it is lost or replaced with the ledger.\n`,
    );
  }
  return EXIT.sound;
}

export function noPrivateKey(): AppError {
  return new AppError('configuration', 'there is no private key here to sign a checkpoint with', {
    next: 'name it with POLYCRATE_MCP_SIGNING_KEY_FILE',
  });
}

function placeOf(
  { config: { childEnvironment } }: App,
  { out, 'git-note': repository }: LedgerTask['options'],
): AnchorPlace | null {
  if (out !== undefined && repository !== undefined) {
    throw new AppError('configuration', '--out and --git-note name two places; a checkpoint goes to one.');
  }
  if (repository !== undefined) return anchorPlace(`${GIT}${resolve(repository)}`, childEnvironment);
  return out === undefined ? null : anchorPlace(resolve(out), childEnvironment);
}

type Anchor = VerifyRequest['anchor'];

/** Null: there is none yet. */
async function readAnchor({ verification }: App, place: AnchorPlace): Promise<Anchor> {
  const ledger = await verification.check.id();
  try {
    const checkpoint = await place.read(ledger);
    return checkpoint && { checkpoint, name: `the anchor ${place.name}` };
  } catch (error) {
    throw unusable(place, messageOf(error));
  }
}

async function givenAnchor(app: App, given: string): Promise<Anchor> {
  const path = resolve(pathOf(given));
  const place = anchorPlace(given.startsWith(GIT) ? `${GIT}${path}` : path, app.config.childEnvironment);
  const anchor = await readAnchor(app, place);
  if (anchor) return anchor;
  throw unusable(place, 'there is none of this ledger');
}

function pathOf(place: string): string {
  return place.startsWith(GIT) ? place.slice(GIT.length) : place;
}

function unusable(place: AnchorPlace, why: string): AppError {
  return new AppError('configuration', `${place.name} cannot be used as an anchor: ${why}.`, {
    next: '`polycrate-mcp ledger checkpoint --out FILE` writes one',
  });
}

async function liesWithin(file: string, folder: string): Promise<boolean> {
  const [inner, outer] = await Promise.all([
    realpath(file).catch(() => realpath(dirname(file))),
    realpath(folder),
  ]);
  return `${inner}${sep}`.startsWith(`${outer}${sep}`);
}

export function isOn(option: string | undefined): boolean {
  return option !== undefined && option !== 'false';
}
