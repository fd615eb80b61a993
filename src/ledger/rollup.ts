import { sha256 } from '../shared/json.ts';
import type { ActionRun } from '../runs/action-run.ts';

/** What stays of pruned runs: how many of one kind there were on a day, and how long they took. No people. */
export interface Rollup {
  /** UTC, of the start, or of the request where there was none: `2026-05-01`. */
  day: string;
  kind: string;
  organization: string | null;
  workspace: string;
  environment: string | null;
  block: string | null;
  block_version: string | null;
  action: string | null;
  status: string;
  runs: number;
  launched: number;
  duration_ms: number;
}

/** In the order of the canonical text. */
export const ROLLUP_COLUMNS = [
  'day', 'kind', 'organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'status',
  'runs', 'launched', 'duration_ms',
] as const; // prettier-ignore
const KEY = ROLLUP_COLUMNS.slice(0, -3);

/** Sums runs up; goes on from what was summed up before. */
export function createRollups(before: readonly Rollup[]): { add(run: ActionRun): void; list(): Rollup[] } {
  const sums = new Map<string, Rollup>();
  for (const row of before) sums.set(keyOf(row), { ...row });
  return {
    add(run) {
      const one: Rollup = {
        day: new Date(run.started_at ?? run.requested_at).toISOString().slice(0, 10),
        kind: run.kind,
        organization: run.organization,
        workspace: run.workspace,
        environment: run.environment?.value ?? null,
        block: run.block,
        block_version: run.block_version,
        action: run.action,
        status: run.status,
        runs: 1,
        launched: run.launched ? 1 : 0,
        duration_ms: run.duration_ms ?? 0,
      };
      const sum = sums.get(keyOf(one));
      if (!sum) return void sums.set(keyOf(one), one);
      sum.runs += 1;
      sum.launched += one.launched;
      sum.duration_ms += one.duration_ms;
    },
    list: () => [...sums.values()],
  };
}

function keyOf(row: Rollup): string {
  return JSON.stringify(KEY.map((column) => row[column]));
}

/** SHA-256 over the rows, each as a JSON array and a line feed, in the order of their UTF-16 code units. */
export function rollupDigest(rows: readonly Rollup[]): string {
  const lines = rows.map((row) => `${JSON.stringify(ROLLUP_COLUMNS.map((column) => row[column]))}\n`);
  return sha256(lines.sort().join(''));
}
