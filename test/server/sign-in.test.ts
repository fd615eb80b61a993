import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, fetch as fetchBy } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import { seal } from '../../src/runs/approval-seals.ts';
import { newBrowser, nextOf, type ByHand, type Seen } from '../support/by-hand.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { freePort } from '../support/free-port.ts';
import { AUDIENCE, MEI, startIssuer, type Issuer } from '../support/issuer.ts';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Logins at the issuer from the approval page, by hand: what a browser would do, and what it would not.

const SECRET = 'hush: 100% & more';
let folders: Awaited<ReturnType<typeof tempFolder>>[];
let issuer: Issuer;
let grant: Issuer['logins']['grant'];
let agent: Agent;
let servers: TeamServer[];
/** Where each of them listens: all of them say that they are at the first one. */
let ports: number[];
let records: Records;
let asker: Visitor;
let redirect: string;
let waiting: { id: string; link: string };

beforeAll(async () => {
  folders = await Promise.all(['home', 'root'].map(tempFolder));
  const [home, root] = [folders[0]!.path, folders[1]!.path];
  issuer = await startIssuer(home);
  grant = issuer.logins.grant;
  agent = new Agent({ connect: { ca: await readFile(issuer.caFile, 'utf8') } });
  await writeWorkspace(root, {
    name: 'shop',
    organization: 'acme',
    blocks: { db: { actions: [script('go', 'true')] } },
  });
  ports = [await freePort(), await freePort(), await freePort()];
  const at = `http://127.0.0.1:${ports[0]}`;
  redirect = `${at}/approvals/login`;
  issuer.logins.applications.set('approvals', { secret: SECRET, redirect });
  const env = {
    ...localSettings(root),
    POLYCRATE_MCP_RUN_MODE: 'ask',
    POLYCRATE_MCP_PUBLIC_URL: at,
    POLYCRATE_MCP_OIDC_ISSUER: issuer.url,
    POLYCRATE_MCP_OIDC_AUDIENCE: AUDIENCE,
    POLYCRATE_MCP_OIDC_CLIENT_ID: 'approvals',
    POLYCRATE_MCP_OIDC_CLIENT_SECRET: SECRET,
    POLYCRATE_MCP_CA_FILE: issuer.caFile,
  };
  const { token } = await makeKey({ home, name: 'Ada', args: ['--role', 'runner'] });
  servers = await Promise.all(ports.map((port) => serve({ home, env, port })));
  records = openSqlite(home);
  asker = await visit({ url: servers[0]!.url, token });
  waiting = await ask();
}, 120_000);
afterAll(async () => {
  await asker?.close();
  await Promise.all((servers ?? []).map((server) => server.end()));
  await records?.close();
  await agent?.close();
  issuer?.server.close();
  await Promise.all(folders.map((folder) => folder.remove()));
});

async function ask(): Promise<{ id: string; link: string }> {
  const target = { workspace: 'shop', block: 'db', action: 'go', allow_concurrent: true };
  const { data } = await asker.call('run_action', target);
  return { id: data.run.id, link: /http\S+$/.exec(data.run.approval_needed.how.join('\n'))![0] };
}

const begin = async (browser: ByHand, link = waiting.link): Promise<string> => {
  const begun = await browser.post(link, { step: 'sign-in' });
  expect(begun.status).toBe(200);
  return nextOf(begun);
};
/** The address that the issuer sends the browser back to. */
const answerOf = async (url: string, answer = 'yes'): Promise<URL> => {
  const response = await fetchBy(url, {
    method: 'POST',
    body: new URLSearchParams({ answer }),
    redirect: 'manual',
    dispatcher: agent,
  });
  expect(response.status).toBe(303);
  return new URL(response.headers.get('location')!);
};
const comeBack = async (browser: ByHand): Promise<URL> => await answerOf(await begin(browser));
/** The same at another server. */
const at = (server: number, url: string | URL): string =>
  Object.assign(new URL(url), { port: ports[server] }).href;
/** Says why, logs nobody in, and leaves nothing to try again with. */
const isRefused = async (browser: ByHand, seen: Seen, says: string, status = 403): Promise<void> => {
  expect(seen.page).toContain(says);
  expect(seen.status).toBe(status);
  expect(seen.page).not.toContain('shop');
  expect([...browser.cookies.keys()]).not.toContain('polycrate_approver');
  expect((await browser.get(waiting.link)).page).toContain('Log in with');
};

describe('a login at the issuer', () => {
  it('asks for what an approver needs, and any server of the ledger takes what comes of it', async () => {
    const { id, link } = await ask();
    const browser = newBrowser();
    const begun = await browser.post(link, { step: 'sign-in' });
    const url = new URL(nextOf(begun));
    const asked = Object.fromEntries(url.searchParams);
    expect(url.origin + url.pathname).toBe(`${issuer.url}/authorize`);
    expect(asked).toEqual({
      response_type: 'code',
      client_id: 'approvals',
      redirect_uri: redirect,
      scope: 'openid polycrate:read polycrate:approve',
      state: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      audience: AUDIENCE,
      resource: AUDIENCE,
    });
    const cookie = begun.set.find((one) => one.startsWith('polycrate_sign_in='))!;
    expect(cookie).toMatch(/; Path=\/approvals; Max-Age=600; HttpOnly; SameSite=Lax$/);
    expect(cookie).not.toContain(asked['state']);
    const back = await answerOf(url.href);
    const returned = await browser.get(at(1, back));
    expect(returned.status).toBe(200);
    expect(returned.headers.get('referrer-policy')).toBe('no-referrer');
    expect(returned.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(new URL(nextOf(returned), link).href).toBe(link);
    expect(returned.set.find((one) => one.startsWith('polycrate_approver='))).toMatch(
      /; Path=\/approvals; Max-Age=600; HttpOnly; SameSite=Strict$/,
    );
    expect([...browser.cookies.keys()].sort()).toEqual(['polycrate_approver', 'polycrate_visit']);
    expect((await browser.get(link)).page).toContain('Logged in as mei@example.com');
    expect((await browser.post(link, { step: 'approve', reason: 'seen' })).status).toBe(303);
    await asker.call('wait_for_action_run', { run_id: id, wait_seconds: 30 });
    const { run } = (await asker.call('get_action_run', { run_id: id })).data;
    expect(run).toMatchObject({
      status: 'success',
      approval: { by: MEI.email, strength: 'key', reason: 'seen' },
    });
    expect(run.approvals).toEqual([
      expect.objectContaining({
        principal: expect.objectContaining({ kind: 'oidc', issuer: issuer.url, subject: MEI.sub }),
      }),
    ]);
  });

  it('shows its secret in the form where the issuer takes it there', async () => {
    issuer.logins.document = { token_endpoint_auth_methods_supported: ['client_secret_post'] };
    const browser = newBrowser();
    expect((await browser.get((await comeBack(browser)).href)).status).toBe(200);
    issuer.logins.document = {};
  });

  const says =
    (error: string, description: string) =>
    (back: URL): void => {
      back.searchParams.delete('code');
      back.searchParams.set('error', error);
      back.searchParams.set('error_description', description);
    };
  it.each<[string, (back: URL) => void, string]>([
    ['was declined', says('access_denied', 'no'), 'The login was declined at 127.0.0.1:'],
    [
      'asked for too much',
      says('invalid_scope', 'unknown'),
      'did not accept this login. It says: &quot;invalid_scope: unknown&quot;',
    ],
    [
      'failed with words of somebody else',
      says('x', '<b>go</b>\u001b[1m to evil'),
      'x: &lt;b&gt;go&lt;/b&gt; to evil',
    ],
    ['brought no code', ({ searchParams }) => searchParams.delete('code'), 'did not accept this login.'],
    [
      'brought a code that was made up',
      ({ searchParams }) => searchParams.set('code', 'a'.repeat(32)),
      'invalid_grant',
    ],
    [
      'brought two codes',
      ({ searchParams }) => searchParams.append('code', 'b'),
      'did not accept this login.',
    ],
    [
      'was at another issuer',
      ({ searchParams }) => searchParams.set('iss', 'https://other.example'),
      'did not accept this login.',
    ],
    [
      'does not say at which issuer',
      ({ searchParams }) => searchParams.delete('iss'),
      'did not accept this login.',
    ],
  ])('that %s lets nobody in', async (_, change, sentence) => {
    const browser = newBrowser();
    const back = await comeBack(browser);
    const exchanged = issuer.logins.exchanged;
    change(back);
    const seen = await browser.get(back.href);
    await isRefused(browser, seen, sentence);
    expect([...browser.cookies.keys()]).toEqual(['polycrate_visit']);
    expect(seen.page).toContain(`href="${waiting.link.slice(new URL(waiting.link).origin.length)}"`);
    expect(issuer.logins.exchanged).toBe(exchanged);
  });

  it('shows little of long words', async () => {
    const browser = newBrowser();
    const back = await comeBack(browser);
    says('x', 'y'.repeat(3_000))(back);
    expect((await browser.get(back.href)).page).not.toContain('y'.repeat(200));
  });

  it.each<[string, () => Promise<string>, string]>([
    [
      'for another server',
      () => issuer.token({ ...MEI, scope: 'polycrate:approve' }, { audience: 'https://other.example' }),
      'not issued for this server',
    ],
    ['without our scopes', () => issuer.token({ ...MEI, scope: 'openid' }), 'none of the scopes'],
    [
      'that has expired',
      () => issuer.token({ ...MEI, scope: 'polycrate:approve' }, { expires: '-5m' }),
      'has expired',
    ],
    [
      'that is forged',
      () => issuer.token({ ...MEI, scope: 'polycrate:approve' }, { forged: true }),
      'is no access token that this server accepts',
    ],
    ['that nobody can read', async () => 'opaque', 'is no access token that this server accepts'],
    [
      'that sees other places',
      () =>
        issuer.token({
          ...MEI,
          scope: 'polycrate:approve',
          polycrate_workspaces: Array(400).fill('acme/shop'),
        }),
      'more places than a browser',
    ],
  ])('with a token %s lets nobody in', async (_, token, sentence) => {
    issuer.logins.grant = token;
    const browser = newBrowser();
    await isRefused(browser, await browser.get((await comeBack(browser)).href), sentence);
    issuer.logins.grant = grant;
  });

  it.each<[string, NonNullable<Issuer['logins']['breaks']>]>([
    ['cuts it off', (response) => response.destroy()],
    [
      'fails',
      (response) => response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>'),
    ],
    [
      'sends it elsewhere',
      (response) => response.writeHead(307, { Location: `${issuer.url}/elsewhere` }).end(),
    ],
    ['answers with a page', (response) => response.end('<html>')],
  ])('is for later where the issuer %s', async (_, breaks) => {
    issuer.logins.breaks = breaks;
    const browser = newBrowser();
    await isRefused(
      browser,
      await browser.get((await comeBack(browser)).href),
      'cannot be reached, or does not answer as it should',
      503,
    );
    issuer.logins.breaks = null;
  });

  it('is refused where the server has another secret than the issuer', async () => {
    issuer.logins.applications.set('approvals', { secret: 'another', redirect });
    const browser = newBrowser();
    await isRefused(browser, await browser.get((await comeBack(browser)).href), 'invalid_client');
    issuer.logins.applications.set('approvals', { secret: SECRET, redirect });
  });

  it.each([
    { token_endpoint: 'http://127.0.0.1:1/token' },
    { authorization_endpoint: 'javascript:alert(1)' },
    { issuer: 'https://other.example' },
  ])('is not begun where the issuer says %o of itself', async (document) => {
    issuer.logins.document = document;
    const browser = newBrowser();
    const seen = await browser.post(waiting.link, { step: 'sign-in' });
    await isRefused(browser, seen, 'does not answer as it should', 503);
    expect(seen.set.join()).not.toContain('polycrate_sign_in');
    issuer.logins.document = {};
  });
});

// At another server, since each counts the logins of a minute on its own.
describe('what comes back from the issuer', () => {
  const FOREIGN = 'did not begin in this browser';
  const linkAt = (): string => at(1, waiting.link);
  const started = async (browser: ByHand): Promise<URL> => await answerOf(await begin(browser, linkAt()));
  const bring = async (browser: ByHand, back: URL): Promise<Seen> => await browser.get(at(1, back));

  it('is taken of the login that this browser began, and of no other', async () => {
    const [mine, other] = [newBrowser(), newBrowser()];
    const [back, foreign] = [await started(mine), await started(other)];
    const exchanged = issuer.logins.exchanged;
    await isRefused(mine, await bring(mine, foreign), FOREIGN);
    const without = new URL(back);
    without.searchParams.delete('state');
    await isRefused(mine, await bring(mine, without), FOREIGN);
    const stranger = newBrowser();
    await isRefused(stranger, await bring(stranger, back), FOREIGN);
    // What another login brought does no harm to this one.
    const swapped = new URL(back);
    swapped.searchParams.set('code', foreign.searchParams.get('code')!);
    const kept = new Map(mine.cookies);
    await isRefused(mine, await bring(mine, swapped), 'invalid_grant');
    expect(issuer.logins.exchanged).toBe(exchanged);
    for (const [name, value] of kept) mine.cookies.set(name, value);
    expect((await bring(mine, back)).status).toBe(200);
    expect(issuer.logins.exchanged).toBe(exchanged + 1);
  });

  it('is taken once', async () => {
    const browser = newBrowser();
    const back = await started(browser);
    const cookie = browser.cookies.get('polycrate_sign_in')!;
    expect((await bring(browser, back)).status).toBe(200);
    browser.cookies.delete('polycrate_approver');
    await isRefused(browser, await bring(browser, back), FOREIGN);
    // Whoever kept the cookie still has no second code.
    browser.cookies.set('polycrate_sign_in', cookie);
    await isRefused(browser, await bring(browser, back), 'invalid_grant');
  });

  it('is taken for the run that it was begun for, and in time', async () => {
    const browser = newBrowser();
    const back = await started(browser);
    const cookie = browser.cookies.get('polycrate_sign_in')!;
    const [nonce = '', run_id = '', sig = '', until = ''] = cookie.split('.');
    const altered = [
      [nonce, '01aaaaaa-aaaa-7000-8000-000000000001', sig, until],
      [nonce, run_id, sig, `${Number(until) + 600_000}`],
      ['0'.repeat(32), run_id, sig, until],
      [nonce, '//evil.example'.padEnd(36, '/'), sig, until],
    ];
    for (const parts of altered) {
      browser.cookies.set('polycrate_sign_in', parts.join('.'));
      await isRefused(browser, await bring(browser, back), FOREIGN);
    }
    const past = Date.now() - 1;
    const key = await records.ledger.key();
    back.searchParams.set('state', seal(key, 'sign-in state', [nonce, run_id, sig, past]).toString('base64url'));
    browser.cookies.set('polycrate_sign_in', [nonce, run_id, sig, past].join('.'));
    await isRefused(browser, await bring(browser, back), 'took too long');
  });

  it('is asked for and taken by GET, from a form of the page', async () => {
    const browser = newBrowser();
    const back = await started(browser);
    const posted = await fetch(at(1, back), { method: 'POST', headers: { cookie: `polycrate_sign_in=${browser.cookies.get('polycrate_sign_in')}` } });
    expect(posted.status).toBe(405);
    const forged = await browser.post(linkAt(), { step: 'sign-in', token: 'x' });
    expect(forged.status).toBe(403);
    expect(forged.page).not.toContain('http-equiv');
    expect((await bring(browser, back)).status).toBe(200);
  });

  it('is no more than 30 logins a minute of one address', async () => {
    const own = 2;
    const browser = newBrowser();
    const back = await answerOf(await begin(browser, at(own, waiting.link)));
    const cookie = browser.cookies.get('polycrate_sign_in')!;
    const statuses: number[] = [];
    for (let n = 0; n < 31; n += 1) {
      browser.cookies.set('polycrate_sign_in', cookie);
      statuses.push((await browser.get(at(own, back))).status);
    }
    expect(statuses).toEqual([200, ...Array<number>(29).fill(403), 429]);
    browser.cookies.delete('polycrate_approver');
    const begun: number[] = [];
    for (let n = 0; n < 30; n += 1) begun.push((await browser.post(at(own, waiting.link), { step: 'sign-in' })).status);
    expect(begun).toEqual([...Array<number>(29).fill(200), 429]);
  }, 30_000);

  it('waits where the issuer went away, and nothing is begun there', async () => {
    const browser = newBrowser();
    const back = await started(browser);
    issuer.server.closeAllConnections();
    issuer.server.close();
    await once(issuer.server, 'close');
    await isRefused(browser, await bring(browser, back), 'cannot be reached', 503);
    const seen = await browser.post(linkAt(), { step: 'sign-in' });
    await isRefused(browser, seen, 'cannot be reached', 503);
    expect((await asker.call('get_action_run', { run_id: waiting.id })).data.run).toMatchObject({ status: 'pending', approvals: [] });
  });
}); // prettier-ignore
