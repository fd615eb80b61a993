// Many kills over all databases and executors, judged from outside: `npm run soak`.
//   --kills N   at least so many (1000)
//   --seed N    choices of an earlier run again
//   --lanes N   ledgers at work side by side, for each database and executor (2)
//   --only X    columns whose name has that in it: sqlite-docker, sqlite-local, postgres-docker, postgres-local
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values } = parseArgs({ options: { kills: text, seed: text, lanes: text, only: text } });
const { kills = '1000', lanes = '2', seed, only } = values;
const chosen = {
  SOAK_KILLS: kills,
  SOAK_LANES: lanes,
  ...(seed && { SOAK_SEED: seed }),
  ...(only && { SOAK_ONLY: only }),
};
const args = ['vitest', 'run', 'test/e2e/crash-matrix.test.ts', '--disable-console-intercept'];
const env = { ...process.env, POLYCRATE_MCP_TEST_REQUIRE: '1', ...chosen };
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1;
