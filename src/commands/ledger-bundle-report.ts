import type { BundleManifest } from '../ledger/bundle.ts';
import type { Imported } from '../ledger/import-bundle.ts';
import type { BundleVerification } from '../ledger/verify-bundle.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { count } from './count.ts';

const MAX_SHOWN = 50;

export function exportText({ counts, left_out, checkpoint, key_id }: BundleManifest, folder: string): string {
  return plain([
    `${count(counts.runs, 'run')} with ${count(counts.events, 'proved event')}, written to ${folder}.`,
    ...leftOut(left_out),
    `Signed with the key ${key_id}; give its public part to who checks, apart from the bundle.`,
    `The proofs lead to the state of the ledger ${checkpoint.ledger} with ${checkpoint.size} events.`,
  ]);
}

function leftOut({ mirrored, later }: BundleManifest['left_out']): string[] {
  return [
    ...(mirrored > 0
      ? [`Left out: ${count(mirrored, 'run')} that others executed, of which this ledger has only heard and can prove nothing.`]
      : []),
    ...(later > 0 ? [`Left out: ${count(later, 'run')} recorded since the checkpoint.`] : []),
  ];
} // prettier-ignore

export function bundleJson({ manifest, ...rest }: BundleVerification): string {
  const { files: _files, ...shown } = manifest ?? { files: [] };
  return `${JSON.stringify({ ...rest, manifest: manifest && shown }, null, 2)}\n`;
}

export function bundleText(verification: BundleVerification): string {
  const { result, manifest, checked, findings, findings_total } = verification;
  const { runs, events, private_values, files } = checked;
  const more = findings_total - Math.min(findings.length, MAX_SHOWN);
  return plain([
    VERDICT[result],
    '',
    ...(manifest ? about(manifest) : []),
    `Checked: ${count(files, 'file')} (digest), ${count(runs, 'run')} (record), ${count(events, 'event')} (hash, proof), ` +
      `${count(private_values, 'private value')} (commitment).`,
    ...(findings_total > 0 ? ['', 'Findings:'] : []),
    ...findings.slice(0, MAX_SHOWN).map((says) => `  - ${says}`),
    ...(more > 0 ? [`  and ${more} more; --json lists up to 1000`] : []),
    ...(result === 'tampered' ? [] : LIMITS),
  ]);
}

const VERDICT: Record<BundleVerification['result'], string> = {
  sound: 'SOUND: nothing was changed, and the key is the one that you vouch for.',
  tampered: 'TAMPERED.',
  not_provable: 'NOT PROVABLE: all of it fits together, but whose key it is cannot be told from the bundle. Name the public key that you got from its owner with --key FILE.',
}; // prettier-ignore

const LIMITS = [
  '',
  'Cannot be told from a bundle: whether runs, or the last events of a run, were left out.',
];

function about({ checkpoint, key_id, at, left_out }: BundleManifest): string[] {
  return [
    `Made at ${new Date(at).toISOString()} from the ledger ${checkpoint.ledger}, ${checkpoint.size} events, root ${checkpoint.root.slice(0, 16)}…`,
    `Key ${key_id}`,
    ...leftOut(left_out),
  ];
}

export function importText(
  { imported, present, joined, open, erased }: Imported,
  manifest: BundleManifest,
): string {
  return plain([
    `Imported ${count(imported, 'run')} of the ledger ${manifest.checkpoint.ledger}, in which their own proof stays.`,
    ...(present > 0 ? [`${present} were here already and were left as they are.`] : []),
    ...(joined > 0 ? [`${joined} had been heard of from others before, and are one run with that now.`] : []),
    ...(open > 0 ? [`${open} had not ended when the bundle was made and were left out.`] : []),
    ...(erased > 0 ? [`Left out ${count(erased, 'private value')} of erased persons.`] : []),
  ]);
}

function plain(lines: readonly string[]): string {
  return `${lines.map((line) => cleanLine(line)).join('\n')}\n`;
}
