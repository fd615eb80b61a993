// Reports to a Polycrate API under an outage and over a bad network, at full size: `npm run soak:api`.
//   --runs N          of three days without the API (5000)
//   --submissions N   over a network that drops, delays, doubles and cuts (10000)
//   --seed N          choices of an earlier run again
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values } = parseArgs({ options: { runs: text, submissions: text, seed: text } });
const chosen = {
  SOAK_OUTAGE_RUNS: values.runs ?? '5000',
  SOAK_PROXY_RUNS: values.submissions ?? '10000',
  SOAK_SEED: values.seed ?? String(Date.now() % 1_000_000),
};
const args = ['vitest', 'run', 'test/e2e/submission-soak.test.ts', '--disable-console-intercept'];
process.exitCode =
  spawnSync('npx', args, { stdio: 'inherit', env: { ...process.env, ...chosen } }).status ?? 1;
