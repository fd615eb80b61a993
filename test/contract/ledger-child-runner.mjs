// A runner of its own: answers one request that comes as a JSON line, so that a test can kill it.
import { createInterface } from 'node:readline';

const [bundle, url] = process.argv.slice(2);
const { createRunnerLedger } = await import(bundle);
const nothing = () => undefined;
const { ledger } = createRunnerLedger({
  url,
  key: () => 'key',
  place: 'a-place-of-a-runner',
  local: { logs: {}, pieces: {} },
  clock: { now: Date.now, sleep: nothing },
  log: nothing,
});
createInterface({ input: process.stdin }).on('line', async (line) => {
  process.stdout.write(`${JSON.stringify(await ledger.request(JSON.parse(line)))}\n`);
});
