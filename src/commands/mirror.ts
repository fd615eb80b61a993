import type { App } from '../compose.ts';
import type { MirrorVerb } from '../config.ts';
import type { SeenStanding } from '../ledger/mirror.ts';
import type { EndpointSynced } from '../platform/mirror.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { count } from './count.ts';

export interface MirrorTask {
  verb: MirrorVerb;
  options: Readonly<Record<string, string>>;
}

/** What others ran, as Polycrate APIs have it. Answers 1 if one of them could not be read. */
export async function mirror(app: App, { verb, options }: MirrorTask): Promise<number> {
  try {
    return verb === 'sync' ? await sync(app, options) : await status(app, options);
  } finally {
    await app.close();
  }
}

async function sync(app: App, { json, gone }: MirrorTask['options']): Promise<number> {
  const results = await app.mirror.sync({
    sweep: gone !== undefined,
    onPage(endpoint, { gaps, total, sweep }) {
      const left = gaps.reduce((most, { after }) => Math.max(most, after.rank - 1), 0);
      if (json !== undefined) return;
      if (left > 0) process.stderr.write(`${cleanLine(endpoint)}: ${total - left} of ${total} runs\n`);
      else if (sweep) process.stderr.write(`${cleanLine(endpoint)}: compared down to ${sweep.after.rank - 1} of ${total} runs\n`);
    },
  });
  if (json !== undefined) process.stdout.write(`${JSON.stringify(app.services.redaction.json(results), null, 2)}\n`);
  else for (const result of results) process.stdout.write(`${cleanLine(app.services.redaction.text(lineOf(result)))}\n`);
  if (results.length === 0) process.stderr.write('No Polycrate API is mirrored.\n');
  return results.every(({ problem }) => problem === null) ? 0 : 1;
} // prettier-ignore

function lineOf({ endpoint, added, changed, outcome, problem }: EndpointSynced): string {
  if (outcome === 'elsewhere') return `${endpoint}: another process is reading it right now`;
  return `${endpoint}: ${count(added, 'new run')}, ${changed} changed${problem === null ? '' : `; then: ${problem}`}`;
}

async function status(app: App, { json }: MirrorTask['options']): Promise<number> {
  const standings = (await app.services.foreign.standings()).filter(({ source }) => source === 'api');
  const rows = app.services.redaction.json(standings.map(rowOf));
  if (json !== undefined) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  } else {
    for (const { endpoint, runs, as_of, oldest, newest, missing, problem } of rows) {
      process.stdout.write(`${cleanLine(endpoint)}: ${count(runs, 'run')}, as of ${as_of ?? 'never'}\n`);
      if (oldest !== null) process.stdout.write(`    from ${oldest} to ${newest}\n`);
      if (missing !== null) process.stdout.write(`    missing: ${cleanLine(missing)}\n`);
      if (problem !== null) process.stdout.write(`    ${cleanLine(problem.says)} (since ${problem.since})\n`);
    }
    if (rows.length === 0) process.stdout.write('No Polycrate API is configured.\n');
  }
  return rows.every(({ problem }) => problem === null) ? 0 : 1;
}

function rowOf({ endpoint, runs, oldest, newest, success_at, missing, problem }: SeenStanding) {
  const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
  return {
    endpoint,
    runs: runs ?? 0,
    as_of: iso(success_at),
    oldest: iso(oldest),
    newest: iso(newest),
    missing,
    problem: problem && { says: problem.says, since: iso(problem.at) },
  };
}
