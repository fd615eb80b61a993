// An API to test against: `node main.mjs --db FILE [--port N] [--tls-key FILE --tls-cert FILE]`. Prints its port. Shares no code
// with the product. Orders of the test go to /__control/….
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { parseArgs } from 'node:util';
import { answerFaults, operationOf, requestFaults } from './contract.mjs';
import { before, createFaults, send } from './faults.mjs';
import { operationsOf, refusal } from './operations.mjs';
import { openStore } from './store.mjs';

const text = { type: 'string' };
const { values: args } = parseArgs({ options: { db: text, port: text, 'tls-key': text, 'tls-cert': text } });
const settings = {
  skew_ms: 0,
  max_page_size: 100,
  one_shot_only: false,
  second_finish: 200,
  blind: false,
  churn: null,
  /** How items of the queue go on. */
  item: { exit_code: 0, hold: false, log_stdout: null, log_stderr: null, reasons: true },
};
const KEYS = {
  'test-key-4711': { username: 'robot', access: 'read_write' },
  'read-key-4711': { username: 'reader', access: 'read' },
};
const store = openStore(args.db);
const operations = operationsOf(store, settings);
const faults = createFaults();
const violations = [];
const requests = [];

const control = {
  seed: ({ organizations }) => store.seed(organizations),
  faults: ({ rules, seed }) => faults.set(rules, seed),
  settings: ({ item = {}, ...changes }) => Object.assign(settings, changes, { item: { ...settings.item, ...item } }),
  note: ({ kind, id, username }) => void store.note(kind, id, { username, at: new Date().toISOString() }),
  items: () => store.sql('SELECT * FROM items ORDER BY n').all(),
  runs: ({ add = [] }) => {
    for (const { organization, workspace, block, ...run } of add) {
      const found = store.find({ organization, workspace, block });
      store.addRun({ created_at: new Date().toISOString(), ...run, workspace: found.workspace_id, block: found.id });
    }
    return store.sql('SELECT * FROM runs ORDER BY n').all();
  },
  change: ({ id, values }) => store.change(id, values),
  remove: ({ id }) => store.sql('DELETE FROM runs WHERE id = ?').run(id),
  violations: () => violations,
  requests: () => requests.splice(0),
  left: () => faults.left(),
}; // prettier-ignore

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return bytes.length === 0 ? undefined : JSON.parse(bytes.toString('utf8'));
}

/** The answer to a request that arrived whole. */
function process_({ method, path, query, headers, body }) {
  const { operation, allowed, values } = operationOf(method, path);
  const report = (what) => violations.push(`${method} ${path}: ${what}`);
  if (!operation) {
    report('no such operation');
    return allowed.length > 0 ? refusal(405, 'method_not_allowed', `use ${allowed}`) : refusal(404, 'not_found', 'Not found.');
  }
  const key = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  const who = KEYS[key];
  if (!who) return refusal(401, key ? 'authentication_failed' : 'not_authenticated', 'Invalid token.');
  if (who.access === 'read' && method !== 'GET') return refusal(403, 'permission_denied', 'This key can only read.');
  const wrong = requestFaults(operation, { query, values, body });
  wrong.forEach(report);
  if (wrong.length > 0) return refusal(400, 'invalid', wrong.join('; '));
  const answer = operations[operation.operationId]({ query, values, body, username: who.username });
  for (const fault of answerFaults(operation, answer)) report(fault);
  return answer;
} // prettier-ignore

async function handle(request, response) {
  const { pathname: path, searchParams: query } = new URL(request.url, 'http://localhost');
  const { method, headers, socket } = request;
  response.on('error', () => undefined);
  const body = await bodyOf(request);
  if (path.startsWith('/__control/')) {
    const value = control[path.slice('/__control/'.length)](body ?? {});
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value ?? null));
  }
  requests.push({ method, path, query: query.toString(), agent: headers['user-agent'], port: socket.remotePort });
  churn();
  const rule = faults.of(method, path, query.toString());
  if (await before(rule, { response, socket })) return;
  if (rule?.kind === 'duplicate_page' && query.get('page') > 1) query.set('page', String(query.get('page') - 1));
  const answer = process_({ method, path, query, headers, body });
  if (rule?.kind === 'twice') process_({ method, path, query, headers, body });
  await send(rule, { response, socket, ...answer, headers: { date: new Date(Date.now() + settings.skew_ms).toUTCString() } });
} // prettier-ignore

const listener = (request, response) => {
  handle(request, response).catch((error) => {
    // The client left, or this program has a mistake: the test must see the second.
    if (!request.socket.destroyed) violations.push(String(error.stack ?? error));
    request.socket.destroy();
  });
};
/** The list changes under its reader: after so many requests runs are added at its front, and others vanish. */
let asked = 0;
function churn() {
  if (!settings.churn || ++asked % settings.churn.every !== 0) return;
  const rows = store.sql('SELECT * FROM runs ORDER BY n').all();
  for (let n = 0; n < settings.churn.remove; n++)
    store.sql('DELETE FROM runs WHERE id = ?').run(rows[(asked * 7 + n * 31) % rows.length].id);
  for (let n = 0; n < settings.churn.add; n++)
    store.addRun({ ...rows[0], id: undefined, created_at: new Date().toISOString() });
}

const server = args['tls-key']
  ? createTlsServer({ key: readFileSync(args['tls-key']), cert: readFileSync(args['tls-cert']) }, listener)
  : createServer(listener);
server.listen(Number(args.port ?? 0), '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
