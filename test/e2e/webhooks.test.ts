import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import { makeCertificate } from '../contract-server/start.ts';
import { deskOn, type Desk } from '../support/desk.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const SECRET = 'a-secret-to-sign-with';
const PASSWORD = 'correct-horse-battery-staple';

interface Received {
  path: string;
  body: any;
  text: string;
  signature: string;
}

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let receiver: Server;
let received: Received[];
/** Answers of the receiver by path, used up from the front. */
let answers: Record<string, number[]>;
let env: Record<string, string>;
let home: string;
let bea: { token: string };
let ada: { token: string };
let server: TeamServer;
let asker: Visitor;
let records: Records;
let desk: Desk;

const start = async (): Promise<void> => {
  server = await serve({ home, env });
  asker = await visit({ url: server.url, token: ada.token });
};
const of = (path: string, event?: string): Received[] =>
  received.filter((one) => one.path === path && (!event || one.body.event === event));
const arrives = (path: string, event: string) =>
  expect.poll(() => of(path, event).length, { timeout: 60_000 });

beforeAll(async () => {
  folders = await Promise.all(['home', 'root', 'rules'].map(tempFolder));
  home = folders[0]!.path;
  [received, answers] = [[], { '/json': [500, 503], '/hangs': [] }];
  const certificate = makeCertificate(folders[2]!.path);
  const tls = { key: readFileSync(certificate.key), cert: readFileSync(certificate.cert) };
  receiver = createServer(tls, (request, response) => {
    // Accepts and never answers: nobody may wait for it.
    if (request.url === '/hangs') return;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = answers[request.url!]?.shift() ?? 200;
      const text = Buffer.concat(chunks).toString('utf8');
      const signature = String(request.headers['polycrate-signature']);
      if (status === 200) received.push({ path: request.url!, body: JSON.parse(text), text, signature });
      response.writeHead(status).end();
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  const at = `https://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const root = folders[1]!.path;
  const actions = [script('restart', 'echo $POLYCRATE_BLOCK'), script('fail', 'exit 3'), script('hello', 'echo hello')];
  await writeWorkspace(root, { name: 'shop', organization: 'acme', blocks: { db: { config: { db_password: PASSWORD }, actions } } });
  const policy = join(folders[2]!.path, 'policy.json');
  const rules = [
    { name: 'restart', when: { action: 'restart' }, decision: 'approve', approve: { strength: 'key' } },
    { name: 'rest', decision: 'allow' },
  ];
  writeFileSync(policy, JSON.stringify({ version: 1, rules }));
  env = {
    ...localSettings(root), POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy, POLYCRATE_MCP_LOG_LEVEL: 'error',
    POLYCRATE_MCP_WEBHOOKS: `json=${at}/json slack=${at}/slack mattermost=${at}/mattermost json=${at}/hangs`, POLYCRATE_MCP_WEBHOOK_SECRET: SECRET,
    POLYCRATE_MCP_CA_FILE: certificate.cert,
  };
  ada = await makeKey({ home, name: 'Ada', args: ['--role', 'runner'] });
  bea = await makeKey({ home, name: 'Bea', args: ['--role', 'approver'] });
  records = openSqlite(home);
  desk = deskOn(records, []);
  await start();
}, 120_000); // prettier-ignore
afterAll(async () => {
  await asker.close();
  await server.end();
  await records.close();
  receiver.closeAllConnections();
  receiver.close();
  await Promise.all(folders.map((folder) => folder.remove()));
});

it('tells receivers of what waits, started, ended and failed, after their failures too, and after a server was killed', async () => {
  const reason = `<!channel> @all \`x\` password ${PASSWORD}`;
  const run = (action: string) => asker.call('run_action', { workspace: 'shop', block: 'db', action, reason, wait_seconds: 50 });
  const { data } = await run('restart');
  const { id } = data.run;
  await arrives('/json', 'approval_needed').toBe(1);
  const [asked] = of('/json', 'approval_needed');
  const link = /http\S+$/.exec(data.run.approval_needed.how.join('\n'))![0];
  expect(asked!.body).toMatchObject({ run: { id, workspace: 'shop', action: 'restart', requested_by: 'Ada' }, approval: { rule: 'restart', link } });
  const [, seconds, hex] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(asked!.signature)!;
  expect(createHmac('sha256', SECRET).update(`${seconds}.${asked!.text}`).digest('hex')).toBe(hex);
  await expect.poll(() => of('/slack').length + of('/mattermost').length, { timeout: 60_000 }).toBe(2);
  const [slack, mattermost] = [of('/slack')[0]!.body.text, of('/mattermost')[0]!.body.text];
  expect(slack).toMatch(/^\*Approval needed\*: `db restart` in `acme\/shop`\n/);
  expect(slack).toContain('`&lt;!channel&gt; @all  x  password');
  expect(slack).toContain(`<${link}>`);
  expect(mattermost).toMatch(/^\*\*Approval needed\*\*/);
  expect(mattermost).toContain('`<!channel> @all  x  password');
  const code = (await desk.code((await records.ledger.find(id))!))!;
  await desk.say(id, bea.token);
  await arrives('/json', 'run_finished').toBe(1);
  expect(of('/json', 'run_finished')[0]!.body.run).toMatchObject({ id, status: 'success', exit_code: 0 });
  expect((await run('fail')).data.run.status).toBe('failed');
  await arrives('/json', 'run_failed').toBe(1);
  answers['/json'] = [500];
  await run('hello');
  await expect.poll(() => answers['/json']!.length, { timeout: 60_000 }).toBe(0);
  await server.kill();
  expect(of('/json', 'run_finished')).toHaveLength(1);
  await asker.close().catch(() => undefined);
  await start();
  await arrives('/json', 'run_finished').toBe(2);
  const ids = of('/json').map(({ body }) => body.id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { text } of received) {
    expect(text).not.toContain(PASSWORD);
    expect(text.toUpperCase()).not.toContain(code);
  }
}, 180_000); // prettier-ignore
