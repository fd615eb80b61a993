// Measures against bars, as ratios of interleaved pairs: other work on the machine slows both sides.
// `npm run bench -- --only NAME` measures one of: cold-start, calls, trail, listing, short-run, big-log, many-runs, append, verify, http,
// ingest; `--smoke` makes the last two short. `--runs N` is the size of the ledger that `verify` and `history` read.
// `npm run bench -- history --runs 10000000 --database postgres` fills and asks a ledger of very many runs, `--only logs-import
// --runs 20000` imports as many logs of the CLI; both are measured only when they are
// named. README.md here tells more.
import { parseArgs } from 'node:util';
import { append } from './append.mjs';
import { calls } from './calls.mjs';
import { coldStart } from './cold-start.mjs';
import { bigLog, manyRuns, shortRun } from './containers.mjs';
import { listing } from './listing.mjs';
import { growthTable, history } from './history.mjs';
import { http } from './http.mjs';
import { ingest } from './ingest.mjs';
import { logsImport } from './logs-import.mjs';
import { trail } from './trail.mjs';
import { verify } from './verify.mjs';
import { makeWorld, missingEngine } from './world.mjs';

/** So much of `http` and `ingest` that one sees whether they work. */
const SMOKE = { requests: 50, long: 500, pairs: 50 };

const BENCHES = {
  'cold-start': { measure: coldStart },
  calls: { measure: calls },
  trail: { measure: trail },
  listing: { measure: listing },
  'short-run': { measure: shortRun, engine: true },
  'big-log': { measure: bigLog, engine: true },
  'many-runs': { measure: manyRuns, engine: true },
  append: { measure: append },
  verify: { measure: verify },
  http: { measure: http },
  ingest: { measure: ingest },
  history: { measure: history, named: true },
  'logs-import': { measure: logsImport, named: true, runs: 20_000 },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    runs: { type: 'string' },
    database: { type: 'string', default: 'sqlite' },
    smoke: { type: 'boolean', default: false },
    sizes: { type: 'string', default: '100000,1000000' },
    keep: { type: 'string' },
  },
});
const only = values.only ?? positionals[0];
const { database, keep } = values;
const sizes = values.sizes.split(',').filter(Boolean).map(Number);
if (only !== undefined && !(only in BENCHES)) {
  console.error(`There is no benchmark ${only}; there are ${Object.keys(BENCHES).join(', ')}.`);
  process.exit(2);
}

const withoutEngine = await missingEngine();
const rows = [];
for (const [name, { measure, engine, named, runs = 50_000 }] of Object.entries(BENCHES)) {
  if (only === undefined ? named : name !== only) continue;
  if (engine && withoutEngine) {
    rows.push({ name, detail: withoutEngine, shown: '–', bar: '–', verdict: 'skipped' });
    continue;
  }
  // A world of its own each, so that no benchmark leaves the next a larger ledger.
  const world = await makeWorld();
  try {
    const size = Number(values.runs ?? runs);
    const options = { runs: size, database, sizes, keep, ...(values.smoke && SMOKE) };
    rows.push(...(await measure(world, options)));
  } finally {
    await world.remove();
  }
}

console.log('| what | measured | result | bar | verdict |\n| --- | --- | --- | --- | --- |');
for (const { name, detail, shown, bar, verdict } of rows) {
  console.log(`| ${name} | ${detail} | ${shown} | ${bar} | ${verdict} |`);
}
for (const line of growthTable()) console.log(line);
process.exitCode = rows.some(({ verdict }) => verdict === 'FAIL') ? 1 : 0;
