import type { VerificationNote } from '../runs/run-ledger.ts';
import type { Clock, Log } from '../shared/ports.ts';
import { messageOf } from '../shared/errors.ts';
import { createTree } from './checkpoint-tree.ts';
import { checkSignature, signCheckpoint, type Checkpoint, type CheckpointKeys } from './checkpoint.ts';
import { judgePruning, type PruningVerdict } from './verify-pruned.ts';
import type { Finding, KnownState, LedgerCheck, LedgerNotes, Progress, VerifyReport } from './verify.ts';

export interface VerifyPorts {
  check: LedgerCheck;
  /** Created by its first use. */
  keys(): CheckpointKeys;
  clock: Clock;
  log: Log;
}

export interface VerifyRequest {
  /** A checkpoint that was kept elsewhere, and what to call it. */
  anchor: { checkpoint: Checkpoint; name: string } | null;
  /** Go on from the last verification without a finding, if there is one. */
  incremental: boolean;
  onProgress?: (progress: Progress) => void;
}

export interface Verification extends VerifyReport {
  result: VerificationNote['result'];
  ledger: string;
  at: number;
  duration_ms: number;
  /** An outside anchor proves that nothing up to this event was cut off or put back. */
  proven_up_to: number | null;
  /** What cannot be told, and why; one sentence each. */
  not_provable: string[];
  /** The state that was found, signed; null if it has findings or cannot be signed here. */
  checkpoint: Checkpoint | null;
}

/** Verifies, says what that proves, and remembers it. */
export async function verifyLedger(ports: VerifyPorts, request: VerifyRequest): Promise<Verification> {
  const ledger = await ports.check.id();
  const [notes, keys, began] = [await ports.check.notes(), ports.keys(), ports.clock.now()];
  const known = knownStates({ ledger, notes, keys, request });
  const { verified } = known;
  const from =
    request.incremental && verified && (request.anchor?.checkpoint.size ?? Infinity) >= verified.size
      ? { size: verified.size, head: verified.head, frontier: notes.verified!.frontier }
      : null;
  const report = await ports.check.verify({ from, known: known.states }, request.onProgress);
  const pruned = judgePruning(report.pruning, { ledger, keys, anchored: known.anchored });
  const own = [...known.findings, ...pruned.findings];
  const findings = [...own, ...report.findings];
  const findings_total = own.length + report.findings_total;
  const at = ports.clock.now();
  const proof = proofOf({ request, report, known, pruned });
  const verification: Verification = {
    ...report,
    ...proof,
    result: findings_total > 0 ? 'tampered' : proof.proven_up_to === null ? 'not_provable' : 'sound',
    ledger,
    at,
    duration_ms: at - began,
    findings,
    findings_total,
    checkpoint: findings_total > 0 ? null : signed({ ledger, at, ...report }, keys),
  };
  await remember(ports, verification);
  return verification;
}

interface Known {
  states: KnownState[];
  /** What an earlier verification left here, if it can be trusted. */
  verified: Checkpoint | null;
  /** Size that a valid anchor vouches for. */
  anchored: number | null;
  anchorKey: 'valid' | 'invalid' | 'unknown_key' | null;
  findings: Finding[];
}

interface KnownParts {
  ledger: string;
  notes: LedgerNotes;
  keys: CheckpointKeys;
  request: VerifyRequest;
}

function knownStates({ ledger, notes, keys, request: { anchor } }: KnownParts): Known {
  const known: Known = { states: [], verified: null, anchored: null, anchorKey: null, findings: [] };
  const { verified } = notes;
  const verdict = verified && checkSignature(verified.checkpoint, keys);
  if (verified && verdict === 'valid') {
    const { size, root, at } = verified.checkpoint;
    if (verified.checkpoint.ledger !== ledger || createTree(size, verified.frontier).root() !== root) {
      known.findings.push(altered('what the last verification left in the ledger'));
    } else {
      known.verified = verified.checkpoint;
      const name = `the verification of ${new Date(at).toISOString()}`;
      known.states.push({ ...verified.checkpoint, name });
    }
  }
  if (verdict === 'invalid') known.findings.push(altered('what the last verification left in the ledger'));
  if (!anchor) return known;
  const { checkpoint, name } = anchor;
  known.anchorKey = checkSignature(checkpoint, keys);
  if (known.anchorKey === 'invalid') known.findings.push(altered(name));
  else if (checkpoint.ledger !== ledger) known.findings.push(stranger(anchor, ledger));
  else {
    known.states.push({ ...checkpoint, name });
    if (known.anchorKey === 'valid' && checkpoint.size > 0) known.anchored = checkpoint.size;
  }
  return known;
}

function altered(name: string): Finding {
  return { fault: 'anchor_altered', says: `${name} was altered: its signature does not fit` };
}

function stranger({ checkpoint, name }: NonNullable<VerifyRequest['anchor']>, ledger: string): Finding {
  const says = `${name} belongs to the ledger ${checkpoint.ledger}, this is ${ledger}: another file was named, or the ledger was replaced`;
  return { fault: 'anchor_mismatch', says };
}

function proofOf({
  request: { anchor },
  report,
  known,
  pruned,
}: {
  request: VerifyRequest;
  report: VerifyReport;
  known: Known;
  pruned: PruningVerdict;
}): Pick<Verification, 'proven_up_to' | 'not_provable'> {
  const { anchored } = known;
  if (anchored !== null && pruned.not_provable === null) {
    const beyond = report.size - anchored;
    const reason = `whether events after ${anchored}, where the anchor ends, were cut off`;
    return { proven_up_to: anchored, not_provable: beyond >= 0 ? [reason] : [] };
  }
  const not_provable = [
    'whether the whole ledger was put back to an older copy, its end cut off, or everything rewritten with new hashes: only a checkpoint that was kept elsewhere can tell',
  ];
  if (known.anchorKey === 'unknown_key') {
    not_provable.push(
      `whether ${anchor!.name} is genuine: it was signed with the key ${anchor!.checkpoint.key_id.slice(0, 12)}…, which is not the one at hand`,
    );
  }
  if (pruned.not_provable !== null) not_provable.push(pruned.not_provable);
  return { proven_up_to: null, not_provable };
}

function signed(
  state: Pick<Checkpoint, 'ledger' | 'size' | 'head' | 'root' | 'at'>,
  keys: CheckpointKeys,
): Checkpoint | null {
  const { privateKey } = keys;
  return privateKey && signCheckpoint(state, { ...keys, privateKey });
}

async function remember({ check, log }: VerifyPorts, verification: Verification): Promise<void> {
  const { at, result, size, findings_total, checkpoint, frontier } = verification;
  try {
    await check.note({
      verification: { at, result, up_to: size, findings: findings_total },
      ...(checkpoint && { verified: { checkpoint, frontier } }),
    });
  } catch (error) {
    log('warn', 'the result of the verification could not be stored', { error: messageOf(error) });
  }
}
