import { messageOf } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import type { Checkpoint } from './checkpoint.ts';
import { verifyLedger, type VerifyPorts } from './verify-ledger.ts';

/** Where checkpoints are kept outside of the ledger. */
export interface AnchorPlace {
  /** As it was configured: a path, or `git:` and a path. */
  name: string;
  /** The newest checkpoint of that ledger which is there. Null: none yet. Throws if it cannot tell. */
  read(ledger: string): Promise<Checkpoint | null>;
  write(checkpoint: Checkpoint): Promise<void>;
}

export interface AnchoringPorts extends VerifyPorts {
  /** How many events there are now. */
  events: () => Promise<number>;
  place: AnchorPlace;
}

/** Longer than a verification takes; after it another server may try. */
const CLAIM_MS = 30 * 60 * 1000;

/**
 * Writes an anchor if the newest is older than `every_ms` and the chain has grown. Of several servers one does it.
 * Never throws: what went wrong is logged and kept in the ledger's notes. True: an anchor was written.
 */
export async function keepAnchored(ports: AnchoringPorts, every_ms: number): Promise<boolean> {
  const { check, clock, log, place } = ports;
  try {
    if (!(await isDue(ports, every_ms))) return false;
    const now = clock.now();
    if (!(await check.claim({ now, until: now + Math.min(every_ms, CLAIM_MS) }))) return false;
    // Somebody may have written one between the look and the claim.
    if (!(await isDue(ports, every_ms))) return false;
  } catch (error) {
    log('warn', 'whether a checkpoint is due could not be told', { error: messageOf(error) });
    return false;
  }
  try {
    await anchor(ports);
    return true;
  } catch (error) {
    const says = messageOf(error);
    log('error', 'no checkpoint could be written', { place: place.name, error: says });
    await check.note({ anchor_problem: { at: clock.now(), place: place.name, says } }).catch(() => undefined);
    return false;
  }
}

async function isDue({ check, clock, events }: AnchoringPorts, every_ms: number): Promise<boolean> {
  const { anchor } = await check.notes();
  if (anchor && clock.now() - anchor.at < every_ms) return false;
  return (await events()) > (anchor?.size ?? 0);
}

/** Only what was verified against the anchor before is signed. */
async function anchor(ports: AnchoringPorts): Promise<void> {
  const { check, place } = ports;
  const before = await place.read(await check.id());
  const { result, checkpoint, findings_total } = await verifyLedger(ports, {
    anchor: before && { checkpoint: before, name: `the anchor in ${place.name}` },
    incremental: true,
  });
  if (result === 'tampered') {
    throw new Error(`the ledger is not in order (${findings_total} findings): \`ledger verify\` says where`);
  }
  if (!checkpoint) throw new Error('there is no private key here to sign with');
  await place.write(checkpoint);
  const { at, size } = checkpoint;
  await check.note({ anchor: { at, size, place: place.name }, anchor_problem: null });
}

/** Looks now and then, while a server is used. `stop` waits for nothing: the next server does what was left undone. */
export function startAnchoring(ports: AnchoringPorts, every_ms: number): { stop(): void } {
  const stopping = new AbortController();
  const loop = async (clock: Clock): Promise<void> => {
    while (!stopping.signal.aborted) {
      await keepAnchored(ports, every_ms);
      await clock.sleep(Math.min(every_ms, LOOK_MS), stopping.signal);
    }
  };
  void loop(ports.clock);
  return { stop: () => stopping.abort() };
}

const LOOK_MS = 60_000;
