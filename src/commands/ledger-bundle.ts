import { resolve } from 'node:path';
import { createBundleFolder, openBundleFolder } from '../adapters/host/bundle-folder.ts';
import { ownPublicKey, readPublicKey } from '../adapters/host/checkpoint-keys.ts';
import type { App } from '../compose.ts';
import { exportBundle, type ExportRequest } from '../history/export-bundle.ts';
import { resolveInterval } from '../history/interval.ts';
import { checkKnownNames } from '../history/known-names.ts';
import type { RunFilters } from '../history/search.ts';
import { RUN_STATUSES } from '../runs/action-run.ts';
import { importBundle } from '../ledger/import-bundle.ts';
import { verifyBundle, type BundleSource, type BundleVerification } from '../ledger/verify-bundle.ts';
import { AppError } from '../shared/errors.ts';
import { bundleJson, bundleText, exportText, importText } from './ledger-bundle-report.ts';
import { check, EXIT, isOn, noPrivateKey, type LedgerTask } from './ledger.ts';
import { asText } from './ledger-report.ts';
import { withRuns } from './ledger-progress.ts';

type Options = LedgerTask['options'];

const FILTERS = ['organization', 'workspace', 'environment', 'block', 'action', 'status', 'user'] as const;

/** Only what was verified is signed and handed out. */
export async function exportRuns(app: App, options: Options): Promise<number> {
  const folder = outOf(options);
  const { choice, asked } = await choose(app, options);
  const verification = await check(app, { anchor: null, incremental: true });
  const { checkpoint } = verification;
  if (verification.result === 'tampered') {
    process.stderr.write(`${asText(verification)}Nothing was exported.\n`);
    return EXIT.tampered;
  }
  const { privateKey, ...keys } = app.verification.keys();
  if (!checkpoint || !privateKey) throw noPrivateKey();
  const { services, archive, upkeep, verification: { clock } } = app;
  const request: ExportRequest = {
    choice, asked, checkpoint, at: clock.now(),
    keys: { ...keys, privateKey },
    people: !isOn(options['without-people']),
    logs: isOn(options['logs']),
  };
  const draft = await createBundleFolder(folder);
  try {
    const ports = { ...services, archive, upkeep };
    const manifest = await withRuns((onProgress) => exportBundle(ports, { ...request, onProgress }, draft));
    await draft.publish();
    process.stdout.write(isOn(options['json']) ? `${JSON.stringify(manifest, null, 2)}\n` : exportText(manifest, folder));
    return EXIT.sound;
  } catch (error) {
    await draft.discard();
    if (error instanceof AppError && error.code === 'tampered') return refused(error);
    throw error;
  }
} // prettier-ignore

export async function checkBundle(app: App, folder: string, options: Options): Promise<number> {
  const verification = await verified(app, { source: openBundleFolder(resolve(folder)), options });
  process.stdout.write(isOn(options['json']) ? bundleJson(verification) : bundleText(verification));
  return EXIT[verification.result];
}

/** A bundle that is not sound, or whose key nobody vouches for, is refused whole. */
export async function importRuns(app: App, folder: string, options: Options): Promise<number> {
  const source = openBundleFolder(resolve(folder));
  const verification = await verified(app, { source, options });
  const { result, manifest, digest } = verification;
  if (result !== 'sound' || !manifest) {
    process.stderr.write(`${bundleText(verification)}Nothing was imported.\n`);
    return EXIT[result];
  }
  const { isErased } = app.upkeep;
  const ports = {
    archive: app.archive,
    mirror: app.mirrored,
    clock: app.verification.clock,
    isErased,
  };
  try {
    const task = { source, manifest, digest };
    const imported = await withRuns((onProgress) => importBundle(ports, { ...task, onProgress }));
    process.stdout.write(
      isOn(options['json'])
        ? `${JSON.stringify({ ...imported, bundle: digest }, null, 2)}\n`
        : importText(imported, manifest),
    );
    return EXIT.sound;
  } catch (error) {
    if (error instanceof AppError && error.code === 'tampered') return refused(error);
    throw error;
  }
}

function refused(error: AppError): number {
  process.stderr.write(`polycrate-mcp: ${error.message}\n${error.next ? `  ${error.next}\n` : ''}`);
  return EXIT.tampered;
}

async function verified(
  { config }: App,
  { source, options }: { source: BundleSource; options: Options },
): Promise<BundleVerification> {
  const given = options['key'] === undefined ? null : readPublicKey(resolve(options['key']));
  const trusted = (key_id: string): typeof given => given ?? ownPublicKey(config.home, key_id);
  return await withRuns((onProgress) => verifyBundle(source, { trusted, onProgress }));
}

function outOf({ out, logs, 'without-people': withoutPeople }: Options): string {
  if (isOn(logs) && isOn(withoutPeople)) {
    throw new AppError('configuration', '--logs goes not with --without-people: logs may name people.');
  }
  if (out !== undefined) return resolve(out);
  throw new AppError('configuration', 'ledger export needs to be told where: --out FOLDER.');
}

/** Names are checked as in a question, so that an empty bundle never hides a typing error. */
async function choose(app: App, options: Options): Promise<Pick<ExportRequest, 'choice' | 'asked'>> {
  const { services } = app;
  const run_ids = valuesOf(options['run']);
  const given = FILTERS.flatMap((name) => (options[name] === undefined ? [] : [[name, valuesOf(options[name])] as const]));
  const filters = Object.fromEntries(given);
  const { since, until } = options;
  if (run_ids.length > 0) {
    if (given.length > 0 || since !== undefined || until !== undefined) {
      throw new AppError('configuration', '--run names the runs: it goes with no filter and no interval.');
    }
    return { choice: { run_ids }, asked: { filters: { run: run_ids }, interval: { since: null, until: null } } };
  }
  if (isOn(options['without-people']) && filters['user'] !== undefined) {
    throw new AppError('configuration', '--user names a person, whom --without-people would leave out.');
  }
  const { span } = await resolveInterval({ since, until }, { now: services.clock.now(), zone: services.zone });
  const asked = { filters, interval: span };
  const wanted: RunFilters = { ...filters, span, time_field: 'started' };
  refuseStatus(filters['status']);
  await checkKnownNames(services.history, wanted, async () => Promise.resolve([]));
  return { choice: { filters: wanted }, asked };
} // prettier-ignore

function refuseStatus(given: readonly string[] = []): void {
  const wrong = given.find((status) => !RUN_STATUSES.some((known) => known === status));
  if (wrong === undefined) return;
  throw new AppError('configuration', `--status ${wrong} is none of ${RUN_STATUSES.join(', ')}.`);
}

function valuesOf(option: string | undefined): string[] {
  return option === undefined ? [] : option.split('\n');
}
