// Measures against bars, as ratios of interleaved pairs: other work on the machine slows both sides.
// `npm run bench -- --only NAME` measures one of: cold-start, calls, trail, short-run, big-log, many-runs, append, verify.
// `--runs N` is the size of the ledger that `verify` reads.
import { parseArgs } from 'node:util';
import { append } from './append.mjs';
import { calls } from './calls.mjs';
import { coldStart } from './cold-start.mjs';
import { bigLog, manyRuns, shortRun } from './containers.mjs';
import { trail } from './trail.mjs';
import { verify } from './verify.mjs';
import { makeWorld, missingEngine } from './world.mjs';

const BENCHES = {
  'cold-start': { measure: coldStart },
  calls: { measure: calls },
  trail: { measure: trail },
  'short-run': { measure: shortRun, engine: true },
  'big-log': { measure: bigLog, engine: true },
  'many-runs': { measure: manyRuns, engine: true },
  append: { measure: append },
  verify: { measure: verify },
};

const { only, runs } = parseArgs({
  options: { only: { type: 'string' }, runs: { type: 'string', default: '50000' } },
}).values;
if (only !== undefined && !(only in BENCHES)) {
  console.error(`There is no benchmark ${only}; there are ${Object.keys(BENCHES).join(', ')}.`);
  process.exit(2);
}

const withoutEngine = await missingEngine();
const rows = [];
for (const [name, { measure, engine }] of Object.entries(BENCHES)) {
  if (only !== undefined && name !== only) continue;
  if (engine && withoutEngine) {
    rows.push({ name, detail: withoutEngine, shown: '–', bar: '–', verdict: 'skipped' });
    continue;
  }
  // A world of its own each, so that no benchmark leaves the next a larger ledger.
  const world = await makeWorld();
  try {
    rows.push(...(await measure(world, { runs: Number(runs) })));
  } finally {
    await world.remove();
  }
}

console.log('| what | measured | result | bar | verdict |\n| --- | --- | --- | --- | --- |');
for (const { name, detail, shown, bar, verdict } of rows) {
  console.log(`| ${name} | ${detail} | ${shown} | ${bar} | ${verdict} |`);
}
process.exitCode = rows.some(({ verdict }) => verdict === 'FAIL') ? 1 : 0;
