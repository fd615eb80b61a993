import { start } from './client.mjs';
import { pairs, ratioRow } from './stats.mjs';
import { MAIN, fillLedger } from './world.mjs';

/** Some microseconds are looked for: both must have run long enough to be compiled. */
const WARM_UP = 5_000;
const CALLS = 2_000;
const PAST_RUNS = 2_000;

/** What recording calls costs the calls that only read: two servers that differ in nothing else. */
export async function trail(world) {
  await fillLedger(world, PAST_RUNS);
  const recording = start([MAIN], world.env);
  const silent = start([MAIN], {
    ...world.env,
    POLYCRATE_MCP_TRAIL: 'off',
    POLYCRATE_MCP_HOME: `${world.home}-silent`,
  });
  await fillLedger({ ...world, home: `${world.home}-silent` }, PAST_RUNS);
  await Promise.all([recording.initialize(), silent.initialize()]);
  const measure = async (name, tool, args) => {
    const [ours, theirs] = [() => recording.call(tool, args()), () => silent.call(tool, args())];
    await pairs(WARM_UP, ours, theirs);
    const times = await pairs(CALLS, ours, theirs);
    return ratioRow(name, { times, bar: 1.1, other: 'without', digits: 2 });
  };
  let count = 0;
  try {
    return [
      await measure('trail: get_status', 'get_status', () => ({})),
      await measure('trail: list_blocks', 'list_blocks', () => ({})),
      await measure('trail: search', 'search_action_runs', () => ({})),
      await measure('trail: search, never the same question', 'search_action_runs', () => ({
        until: new Date(Date.now() + count++).toISOString(),
      })),
    ];
  } finally {
    await Promise.all([recording.end(), silent.end()]);
  }
}
