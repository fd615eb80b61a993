import type { Verification } from '../ledger/verify-ledger.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { count } from './count.ts';

const MAX_SHOWN = 50;

/** The whole result for machines. */
export function asJson(verification: Verification): string {
  const { frontier: _frontier, checkpoint: _checkpoint, at, ...rest } = verification;
  return `${JSON.stringify({ ...rest, at: new Date(at).toISOString() }, null, 2)}\n`;
}

/** The same in plain words. */
export function asText(verification: Verification): string {
  const { ledger, result, size, head } = verification;
  const lines = [
    ...verdict(verification),
    '',
    `Ledger ${ledger}, ${size} events, head ${head.slice(0, 16)}…`,
    ...pruned(verification),
    ...whatWasChecked(verification),
    ...findings(verification),
    ...erased(verification),
    ...(result === 'tampered' ? [] : limits(verification)),
  ];
  return `${lines.map((line) => cleanLine(line)).join('\n')}\n`;
}

function verdict({ result, findings_total, proven_up_to }: Verification): string[] {
  switch (result) {
    case 'sound':
      return [`SOUND: nothing was changed, and up to event ${proven_up_to} nothing was taken away.`];
    case 'tampered':
      return [`TAMPERED: ${count(findings_total, 'finding')}.`];
    case 'not_provable':
      return ['NOT PROVABLE: all that is here fits together, but whether it is all cannot be proved.'];
  }
}

function whatWasChecked({ checked, from, duration_ms }: Verification): string[] {
  const { events, runs, private_values } = checked;
  return [
    `Checked in ${(duration_ms / 1000).toFixed(1)} s: ${count(events, 'event')} (hash, link, number), ` +
      `${count(private_values, 'private value')} (commitment), ${count(runs, 'run')} (tables rebuilt from events).`,
    ...(from > 0
      ? [
          `Events 1 to ${from} were verified before and not read again; runs without newer events were not rebuilt.`,
        ]
      : []),
    'Not covered, because they are no history: leases, and to whom an idempotency key belongs.',
  ];
}

function pruned({ pruning }: Verification): string[] {
  if (!pruning) return [];
  const { size, key_id, rollups, before } = pruning;
  return [
    `Pruned up to event ${size} (before ${new Date(before).toISOString()}), tree head signed by ${key_id.slice(0, 12)}…, ` +
      `${count(rollups.runs, 'run')} summed up.`,
  ];
}

function findings({ findings: list, findings_total }: Verification): string[] {
  if (findings_total === 0) return [];
  const more = findings_total - Math.min(list.length, MAX_SHOWN);
  return [
    '',
    'Findings:',
    ...list.slice(0, MAX_SHOWN).map(({ says }) => `  - ${says}`),
    ...(more > 0 ? [`  and ${more} more; --json lists up to 1000`] : []),
  ];
}

function erased({ erased: list, erased_total }: Verification): string[] {
  if (erased_total === 0) return [];
  const more = erased_total - Math.min(list.length, MAX_SHOWN);
  return [
    '',
    `Erased, which the chain allows: private values of ${count(erased_total, 'event')}.`,
    ...list
      .slice(0, MAX_SHOWN)
      .map(
        ({ seq, run_id, names }) => `  - event ${seq}${run_id && ` (run ${run_id})`}: ${names.join(', ')}`,
      ),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function limits({ result, not_provable }: Verification): string[] {
  const advice =
    result === 'sound'
      ? 'A newer anchor covers more: polycrate-mcp ledger checkpoint --out FILE'
      : 'To make it provable: polycrate-mcp ledger checkpoint --out FILE, keep FILE on another machine, and later run\npolycrate-mcp ledger verify --anchor FILE';
  return ['', 'Cannot be proved:', ...not_provable.map((reason) => `  - ${reason}`), ...advice.split('\n')];
}
