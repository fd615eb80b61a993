// A process of its own with a ledger open: answers calls that come as JSON lines, so that a test can kill it.
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';

const [worker, home] = process.argv.slice(2);
const thread = new Worker(new URL(worker), { workerData: { home } });
thread.on('message', (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
createInterface({ input: process.stdin }).on('line', (line) => thread.postMessage(JSON.parse(line)));
