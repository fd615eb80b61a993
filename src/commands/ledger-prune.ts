import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from '../compose.ts';
import { resolveInstant } from '../history/interval.ts';
import { signPruning } from '../ledger/prune.ts';
import { rollupDigest } from '../ledger/rollup.ts';
import type { Cleaning, PrunePlan } from '../ledger/upkeep.ts';
import { verifyLedger } from '../ledger/verify-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { confirm } from './confirm.ts';
import { EXIT, isOn, type LedgerTask } from './ledger.ts';
import { asText } from './ledger-report.ts';
import { showProgress } from './ledger-progress.ts';
import { count } from './count.ts';

interface Outcome extends Pick<PrunePlan, 'size' | 'events' | 'held'> {
  before: string;
  runs: number;
  pruned: boolean;
  logs_deleted: number;
  /** Runs of which nothing is kept any more of what could not be brought back into a workspace. */
  kept_deleted: number;
  cleaning: Cleaning | null;
}

/** Tells which events before a time can go, and takes them out if that is wanted. Only a verified ledger is pruned. */
export async function prune(app: App, options: LedgerTask['options']): Promise<number> {
  const before = await beforeOf(app, options);
  const progress = showProgress(process.stderr);
  const verification = await verifyLedger(app.verification, {
    anchor: null,
    incremental: false,
    onProgress: progress.show,
  }).finally(progress.end);
  if (verification.result === 'tampered') {
    process.stderr.write(`${asText(verification)}Nothing was pruned: the ledger is not in order.\n`);
    return EXIT.tampered;
  }
  const plan = await app.upkeep.planPrune(before, progress.show).finally(progress.end);
  const tell = (text: string): void =>
    void (isOn(options['json']) ? process.stderr : process.stdout).write(text);
  tell(told(plan, before));
  const outcome: Outcome = {
    before: new Date(before).toISOString(),
    size: plan.size,
    events: plan.events,
    held: plan.held,
    runs: plan.runs.length,
    pruned: false,
    logs_deleted: 0,
    kept_deleted: 0,
    cleaning: null,
  };
  const wanted = isOn(options['yes']) || (plan.events > 0 && (await confirm('Prune them?')) === true);
  if (wanted) {
    if (plan.events > 0) await takeOut(app, { plan, before, ledger: verification.ledger });
    outcome.pruned = plan.events > 0;
    // Also if nothing was left to prune: an earlier pruning may have been interrupted before this.
    const { logs, files } = app.supervision;
    outcome.logs_deleted = await deleteOf(app, plan.runs, {
      ids: () => logs.ids(),
      remove: (id) => logs.remove(id),
    });
    outcome.kept_deleted = await deleteOf(app, plan.runs, {
      ids: () => files.keptOf(),
      remove: (id) => files.removeKept(id),
    });
    outcome.cleaning = await app.upkeep.clean('pruning', progress.show).finally(progress.end);
    tell(toldAfter(outcome));
  } else if (plan.events > 0) tell('Nothing was pruned; --yes does it.\n');
  if (isOn(options['json'])) process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
  return outcome.cleaning?.done === false ? EXIT.unclean : EXIT.sound;
}

async function beforeOf({ config, verification }: App, { before }: LedgerTask['options']): Promise<number> {
  const now = verification.clock.now();
  if (before === undefined) {
    if (config.retentionMs !== null) return now - config.retentionMs;
    throw new AppError('configuration', 'ledger prune needs to know what may go: --before=TIME.', {
      next: 'POLYCRATE_MCP_RETENTION says how long everything is kept',
    });
  }
  const { at } = await resolveInstant('--before', before, {
    now,
    zone: config.timezone,
    timezone: undefined,
  });
  return at;
}

interface Doomed {
  plan: PrunePlan;
  before: number;
  ledger: string;
}

async function takeOut(app: App, { plan, before, ledger }: Doomed): Promise<void> {
  const { id, privateKey } = app.verification.keys();
  if (!privateKey) {
    throw new AppError('configuration', 'there is no private key here to sign the pruning with', {
      next: 'name it with POLYCRATE_MCP_SIGNING_KEY_FILE',
    });
  }
  // Else whoever came in by a key that is older than what is kept would stand outside.
  await app.keys.carryOver(plan.size);
  const { size, head, root, frontier, tombstones, rollups } = plan;
  const at = app.verification.clock.now();
  const runs = rollups.reduce((sum, row) => sum + row.runs, 0);
  const left = { rows: rollups.length, runs, digest: rollupDigest(rollups) };
  const pruning = signPruning(
    { ledger, size, head, root, frontier, before, at, rollups: left, tombstones },
    { id, privateKey },
  );
  const progress = showProgress(process.stderr);
  const by = { principal: { ...app.server.identity.principal } };
  await app.upkeep.prune({ plan, pruning, at, by }, progress.show).finally(progress.end);
}

/** What lies beside the ledger, by run. */
interface Beside {
  ids(): Promise<string[]>;
  remove(run_id: string): Promise<boolean>;
}

/** That of the runs that went, and what an interrupted pruning left, told by the time in their id. */
async function deleteOf(
  { config, supervision, upkeep }: App,
  runs: readonly string[],
  beside: Beside,
): Promise<number> {
  const { ledger } = supervision;
  let deleted = 0;
  for (const id of runs) if (await beside.remove(id)) deleted += 1;
  // Where a file beside them is a ledger too, logs may be of its runs.
  if (config.databaseUrl !== null && existsSync(join(config.home, 'ledger.db'))) return deleted;
  const pruning = await upkeep.pruned();
  for (const id of await beside.ids()) {
    const minted = parseInt(id.replaceAll('-', '').slice(0, 12), 16);
    if (!pruning || !(minted < pruning.before) || (await ledger.find(id))) continue;
    if (await beside.remove(id)) deleted += 1;
  }
  return deleted;
}

function told({ events, runs, size, held, rollups }: PrunePlan, before: number): string {
  const time = new Date(before).toISOString();
  const why = held
    ? `The cut lies earlier than asked for, because run ${held.run_id} ${held.open ? 'is still open' : 'has events on both sides'}.\n`
    : '';
  if (events === 0) return `No event before ${time} can go.\n${why}`;
  return (
    `${count(events, 'event')} before ${time} can go, up to event ${size}, with ${count(runs.length, 'run')} and their logs; ` +
    `${count(rollups.length, 'row')} of sums would stay.\n${why}`
  );
}

function toldAfter({ events, runs, size, logs_deleted, kept_deleted, cleaning }: Outcome): string {
  const first =
    events === 0
      ? 'Nothing was left to prune'
      : `Pruned ${count(events, 'event')} up to event ${size} and summed up ${count(runs, 'run')}`;
  const state = cleaning!.done
    ? ''
    : ' The files could not be written anew yet: repeat the command to free their space.';
  const kept = kept_deleted === 0 ? '' : ` and what was kept of ${count(kept_deleted, 'run')}`;
  return `${[`${first}; deleted ${count(logs_deleted, 'log')}${kept}.${state}`, ...cleaning!.remains].join('\n')}\n`;
}
