import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { row } from './stats.mjs';
import { bulkLedger, MAIN } from './world.mjs';

const run = promisify(execFile);

/** A whole verification of many runs; the bar is ten million runs in a minute. */
export async function verify(world, { runs }) {
  await bulkLedger(world, runs);
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...world.env };
  const { stdout } = await run(process.execPath, [MAIN, 'ledger', 'verify', '--json'], { env }).catch(
    (error) => error,
  );
  const { checked, duration_ms, findings } = JSON.parse(stdout);
  if (checked.runs !== runs || findings.length > 0) throw new Error(`not verified: ${stdout.slice(0, 500)}`);
  const detail = `${runs} runs, ${checked.events} events in ${(duration_ms / 1000).toFixed(1)} s`;
  return [
    row('ledger verify, seconds for 10 million runs', {
      detail,
      value: (duration_ms / runs) * 10_000,
      bar: 60,
      unit: 's',
    }),
  ];
}
