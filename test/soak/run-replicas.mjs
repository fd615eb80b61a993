// Two servers on one PostgreSQL, of which one is killed again and again: `npm run soak:replicas`.
//   --kills N     (12)
//   --every N     seconds from one to the next (10)
//   --clients N   that want runs and their ends (6)
//   --seed N      choices of an earlier run again
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const text = { type: 'string' };
const { values } = parseArgs({ options: { kills: text, every: text, clients: text, seed: text } });
const chosen = {
  SOAK_KILLS: values.kills ?? '12',
  SOAK_EVERY_SECONDS: values.every ?? '10',
  SOAK_CLIENTS: values.clients ?? '6',
  ...(values.seed && { SOAK_SEED: values.seed }),
};
const args = ['vitest', 'run', 'test/e2e/replicas.test.ts', '--disable-console-intercept'];
const env = { ...process.env, POLYCRATE_MCP_TEST_REQUIRE: '1', ...chosen };
process.exitCode = spawnSync('npx', args, { stdio: 'inherit', env }).status ?? 1;
