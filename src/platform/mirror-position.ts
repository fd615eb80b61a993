import { z } from 'zod';
import type { Json } from '../shared/json.ts';
import type { Clock, ProcessTable } from '../shared/ports.ts';

// Where the mirror of one API stands. Lists of the API are newest first, and grow and shrink while they are read.

/** A place in the list that stays true while runs are added before it: how many come after it, itself included. */
const mark = z.object({
  rank: z.number(),
  /** Of the runs just before it and of itself. */
  ids: z.array(z.string()),
  at: z.number().nullable(),
});
export type Mark = z.infer<typeof mark>;

/** The newest runs of a look at the list. */
const head = z.object({ ids: z.array(z.string()), at: z.number().nullable() });
export type Head = z.infer<typeof head>;

/** A part of the list that was not read yet: behind `after`, up to `until`; null: as far as the backfill goes. */
const gap = z.object({ after: mark, until: head.nullable() });
export type Gap = z.infer<typeof gap>;

const identity = z.object({
  host: z.string(),
  boot_id: z.string(),
  pid_ns: z.string(),
  pid: z.number(),
  pid_start: z.string(),
});

/** How far a look through the whole list for runs that are gone is: behind `after`, whose runs are not older than `at`. */
const sweep = z.object({ after: mark, at: z.number().nullable() });
export type Sweep = z.infer<typeof sweep>;

const position = z.object({
  format: z.literal(1),
  /** Who is reading; past `until` anybody may. */
  claim: z.object({ owner: identity, until: z.number() }).nullable(),
  /** When the last look began that found everything new. */
  fresh_at: z.number().nullable(),
  head: head.nullable(),
  /** Newest first, with what a list says of them. */
  recent: z.array(z.tuple([z.string(), z.string()])),
  /** Runs that may still change; read again, the first ones first. */
  open: z.array(z.string()),
  /** Newest first. */
  gaps: z.array(gap),
  /** Where the backfill ended by its limit. */
  floor: mark.nullable(),
  limit: z.string(),
  /** Runs that the backfill took, and how many there were at the last look. */
  taken: z.number(),
  total: z.number(),
  sweep: sweep.nullable().default(null),
  /** When the last such look ended, or where there was none, when it was first due; null: not yet. */
  swept_at: z.number().nullable().default(null),
});
export type MirrorPosition = z.infer<typeof position>;

export const START: MirrorPosition = {
  format: 1,
  claim: null,
  fresh_at: null,
  head: null,
  recent: [],
  open: [],
  gaps: [],
  floor: null,
  limit: '',
  taken: 0,
  total: 0,
  sweep: null,
  swept_at: null,
};

/** What is unreadable starts again: repeating stores nothing twice. */
export function readPosition(value: Json | undefined): MirrorPosition {
  return position.safeParse(value).data ?? START;
}

/** How far back the mirror goes: everything, not at all, a number of runs, or milliseconds. */
export type Backfill =
  { kind: 'all' } | { kind: 'off' } | { kind: 'runs'; runs: number } | { kind: 'age'; ms: number };

export function limitText(backfill: Backfill): string {
  if (backfill.kind === 'runs') return `${backfill.runs} runs`;
  return backfill.kind === 'age' ? `${backfill.ms / 86_400_000} days` : backfill.kind;
}

/** What is not mirrored yet or will not be, in one phrase; null: nothing. */
export function missingOf({ gaps, floor, limit, open, total }: MirrorPosition): string | null {
  const parts: string[] = [];
  for (const { after, until } of gaps) {
    const what =
      until === null
        ? `backfill going on: ${total - after.rank + 1} of ${total} runs are here`
        : 'news are being read';
    parts.push(after.at === null ? what : `${what}, down to ${new Date(after.at).toISOString()}`);
  }
  if (floor) {
    const from = floor.at === null ? 'older runs' : `runs before ${new Date(floor.at).toISOString()}`;
    parts.push(`${from} are not mirrored: the backfill ends after ${limit} (POLYCRATE_MCP_MIRROR_BACKFILL)`);
  }
  if (open.length >= MOST_OPEN)
    parts.push(`more than ${MOST_OPEN} runs are open; ends of some may be missed`);
  return parts.length === 0 ? null : parts.join('; ');
}

export const MOST_OPEN = 1_000;

/** Somebody else reads it right now. */
export function isClaimed({ claim }: MirrorPosition, { clock, processes }: { clock: Pick<Clock, 'now'>; processes: ProcessTable }): boolean {
  if (!claim || claim.until < clock.now()) return false;
  const self = processes.self();
  const mine = claim.owner.pid === self.pid && claim.owner.pid_start === self.pid_start && claim.owner.boot_id === self.boot_id;
  return !mine && processes.state(claim.owner) !== 'dead';
} // prettier-ignore
