import type { UnsignedManifest } from '../ledger/bundle.ts';

type Parts = Omit<UnsignedManifest, 'files'> & { key_id: string };

/** What a bundle holds and what it proves, for a reader who has no program at hand. Markdown. */
export function bundleSummary(parts: Parts): string {
  const { at, checkpoint, counts, key_id } = parts;
  const lines = [
    '# Action Runs with their proofs',
    '',
    `Made at ${iso(at)} from the ledger \`${checkpoint.ledger}\`.`,
    '',
    ...table(['asked for', ''], askedFor(parts)),
    '',
    ...table(['totals', ''], totals(parts)),
    '',
    ...table(
      ['status', 'runs'],
      Object.entries(counts.status).sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
    '',
    '## What is proved',
    '',
    `Every event of every run here is one of the first ${checkpoint.size} events of that ledger, whose root is`,
    `\`${checkpoint.root}\`. This was signed at ${iso(checkpoint.at)} with the Ed25519 key`,
    `\`${key_id}\`,`,
    'which must be compared with the key as the owner of the ledger made it known elsewhere.',
    '',
    '`polycrate-mcp ledger verify-bundle FOLDER --key PUBLIC-KEY.pem` checks all of it without a ledger; `FORMAT.md` of',
    'the program describes the bytes for a verifier of your own. `runs.jsonl` holds runs and proofs, `runs.csv` the same',
    'records as a table.',
    '',
    '## What is not',
    '',
    '- That these are all runs that match: a run or the last events of a run can be left out without a trace. The whole',
    '  ledger and `ledger verify` tell that.',
    ...leftOut(parts),
    '- What people or CI ran past this ledger.',
    ...(parts.people ? [] : ['- Who it was: names and texts of people were left out; their commitments are in the events.']),
    '',
  ];
  return lines.join('\n');
} // prettier-ignore

function askedFor({ filters, interval }: Parts): [string, string][] {
  const given = Object.entries(filters).map(([name, value]): [string, string] => [name, [value].flat().join(', ')]);
  return [
    ...(given.length === 0 ? [['runs', 'all'] as [string, string]] : given),
    ['from', interval.since === null ? 'the beginning' : iso(interval.since)],
    ['until', interval.until === null ? 'the checkpoint' : `${iso(interval.until)}, not included`],
  ];
} // prettier-ignore

function totals({ counts, people }: Parts): [string, string | number][] {
  return [
    ['runs', counts.runs],
    ['of them launched', counts.launched],
    ['of them parents of workflows', counts.workflows],
    ['events, each with a proof', counts.events],
    ['private values, each with salt', counts.private_values],
    [people ? 'private values that were erased' : 'private values left out or erased', counts.withheld],
  ];
}

function leftOut({ left_out: { mirrored, later } }: Parts): string[] {
  return [
    ...(mirrored > 0 ? [`- Runs that match and that others executed: ${mirrored}. This ledger only heard of them, and no event of its own`, '  tells of them, so they are not here.'] : []),
    ...(later > 0 ? [`- Runs that match and were recorded since the checkpoint: ${later}.`] : []),
  ];
} // prettier-ignore

function table(head: [string, string], rows: [string, string | number][]): string[] {
  const row = ([name, value]: [string, string | number]): string => `| ${text(name)} | ${text(String(value))} |`;
  return [row(head), '| --- | --- |', ...rows.map(row)];
} // prettier-ignore

/** Names come from outside: none of them may end a cell or begin a tag. */
function text(value: string): string {
  return value.replaceAll(/[\\`*_[\]<>|&]/g, (mark) => `&#${mark.charCodeAt(0)};`).replaceAll(/\s+/g, ' ');
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
