// A process of its own with a ledger open: answers one request that comes as a JSON line, so that a test can kill it.
import { createInterface } from 'node:readline';

const [bundle, url] = process.argv.slice(2);
const { createPostgresLedger } = await import(bundle);
const { ledger } = createPostgresLedger({ url, log: () => undefined });
createInterface({ input: process.stdin }).on('line', async (line) => {
  process.stdout.write(`${JSON.stringify(await ledger.request(JSON.parse(line)))}\n`);
});
