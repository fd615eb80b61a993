import { start } from './client.mjs';
import { pairs, ratioRow } from './stats.mjs';
import { ECHO, MAIN, fillLedger } from './world.mjs';

const CALLS = 400;
const WARM_UP = 100;
const PAST_RUNS = 2_000;

/** Questions of each kind against an echo of the same library over the same client. */
export async function calls(world) {
  await fillLedger(world, PAST_RUNS);
  const ours = start([MAIN], world.env);
  const echo = start([ECHO]);
  await Promise.all([ours.initialize(), echo.initialize()]);
  const echoed = () => echo.call('echo', { text: 'hello' });
  const measure = async (name, { bar, call }) => {
    await pairs(WARM_UP, call, echoed);
    return ratioRow(name, { times: await pairs(CALLS, call, echoed), bar, other: 'echo', digits: 2 });
  };
  const search = (args) => async () => {
    const { runs } = await ours.call('search_action_runs', args);
    if (runs.length !== 20) throw new Error(`20 rows are measured, not ${runs.length}`);
  };
  let count = 0;
  try {
    return [
      await measure('get_status', { bar: 1.3, call: () => ours.call('get_status') }),
      await measure(`search, 20 of ${PAST_RUNS} rows`, { bar: 3, call: search({}) }),
      // A duration back from now is another interval each time, so that everything is counted anew.
      await measure('search with filters', {
        bar: null,
        call: search({
          workspace: 'alpha',
          environment: ['test', 'production'],
          user: 'alice',
          during: '30d',
        }),
      }),
      await measure('search, never the same question', {
        bar: null,
        call: () =>
          search({ since: '2020-01-01T00:00:00Z', until: new Date(Date.now() + count++).toISOString() })(),
      }),
      await measure('list_blocks', { bar: null, call: () => ours.call('list_blocks') }),
    ];
  } finally {
    await Promise.all([ours.end(), echo.end()]);
  }
}
