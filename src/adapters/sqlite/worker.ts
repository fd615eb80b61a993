import { parentPort, workerData } from 'node:worker_threads';
import { plainError } from '../../shared/errors.ts';
import type { UpkeepProgress } from '../../ledger/upkeep.ts';
import type { Progress, VerifyTask } from '../../ledger/verify.ts';
import { createSyncArchive } from './archive.ts';
import { verify } from './check.ts';
import { backup } from './backup.ts';
import { clean } from './clean.ts';
import { loadDriver } from './driver.ts';
import { createErasure } from './erase.ts';
import {
  areCountsSound,
  checkOwnEvents,
  checkPieces,
  divide,
  followLinks,
  isSoundFile,
} from './quick-check.ts';
import { createSyncHouseEvents } from './house-events.ts';
import { createSyncLedger } from './ledger.ts';
import { createSyncMirror } from './mirror.ts';
import { createWebhookTable } from './webhook-table.ts';
import { createNotes } from './notes.ts';
import { openLedger, unavailable, type OpenLedger } from './open.ts';
import { createPruning } from './prune.ts';
import { createSyncHistory } from './search.ts';
import { createSyncTrail } from './trail.ts';
import type { Answer, Call, Post } from './rpc.ts';

/** How often a watcher looks whether another process wrote; the look is one integer in shared memory. */
const WATCH_MS = 25;

const port = parentPort!;
const { home } = workerData as { home: string };

type Method = (...args: never[]) => unknown;
let opened: { ledger: OpenLedger; methods: Record<string, Method> } | null = null;

/** Opened by the first call and tried again after a failure, so that a mended disk needs no restart. */
function methods(): Record<string, Method> {
  if (!opened) {
    const ledger = openLedger(home);
    const sync = createSyncLedger(ledger);
    const { leases, untold, outbox, ...records } = sync;
    const archive = createSyncArchive(ledger);
    opened = {
      ledger,
      methods: {
        ...records,
        ...createSyncHistory(ledger.db),
        ...createSyncTrail(ledger),
        ...createSyncMirror(ledger),
        leaseList: leases.list,
        leaseRenew: leases.renew,
        leaseTake: leases.take,
        leaseGive: leases.give,
        untoldFind: untold.find,
        untoldPass: untold.pass,
        untoldTold: untold.told,
        outboxDue: outbox.due,
        outboxList: outbox.list,
        outboxFind: outbox.find,
        outboxTake: outbox.take,
        outboxSettle: outbox.settle,
        outboxRetry: outbox.retry,
        outboxStanding: outbox.standing,
        ...createNotes(ledger.db),
        ...createSyncHouseEvents(ledger),
        ...createWebhookTable(ledger.db),
        archiveHashes: archive.hashes,
        archiveEvents: archive.events,
        archiveAbsent: archive.absent,
        archiveImport: archive.import,
        verify: (task: VerifyTask) => verify(ledger.db, task, report),
        ...createErasure(ledger, report),
        ...createPruning(ledger, report),
        clean: () => clean(ledger, report),
        backup: (file: string) => backup(ledger.db, file),
        divide: (how: Parameters<typeof divide>[1]) => divide(ledger.db, how),
        checkOwnEvents: () => checkOwnEvents(ledger.db),
        isSoundFile: () => isSoundFile(ledger.db),
        areCountsSound: () => areCountsSound(ledger.db),
        followLinks: (task: Parameters<typeof followLinks>[1]) => followLinks(ledger.db, task),
        checkPieces: (bounds: Parameters<typeof checkPieces>[1]) => checkPieces(ledger.db, bounds),
        watch,
      },
    };
  }
  return opened.methods;
}

/** The call that is being answered: progress belongs to it. */
let current = 0;

function report(progress: Progress | UpkeepProgress): void {
  port.postMessage({ id: current, progress } satisfies Post);
}

let watching = 0;
let timer: NodeJS.Timeout | null = null;
let seen: number | null = null;

/** Counts watchers in and out; posts `changed` when any connection, of any process, has committed. */
function watch(change: 1 | -1): void {
  watching += change;
  if (watching > 0 && !timer) timer = setInterval(look, WATCH_MS);
  if (watching === 0 && timer) {
    clearInterval(timer);
    timer = null;
  }
}

function look(): void {
  const version = opened!.ledger.db.pragma('data_version', { simple: true }) as number;
  if (version !== seen) port.postMessage({ changed: true });
  seen = version;
}

function close(): void {
  if (timer) clearInterval(timer);
  opened?.ledger.db.close();
  opened = null;
}

port.on('message', ({ id, method, args }: Call) => {
  current = id;
  // What was never opened is not opened for being closed.
  const named = (): Method | undefined => (method === 'close' ? close : methods()[method]);
  port.postMessage(answer(id, () => (named() as (...args: unknown[]) => unknown)(...args)));
});

// Every call needs it.
try {
  loadDriver();
} catch {
  // The first call says why there is none.
}

function answer(id: number, call: () => unknown): Answer {
  try {
    return { id, value: call() };
  } catch (error) {
    return { id, error: plainError(unavailable(error, opened?.ledger.file ?? home)) };
  }
}
