import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithChromium, openChromium } from '../support/chromium.ts';
import { freePort } from '../support/free-port.ts';
import { startIssuer, type Issuer } from '../support/issuer.ts';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const SHOTS = process.env['POLYCRATE_MCP_TEST_SHOTS'];

// The issuer is at another site than the server, as it is everywhere: what browsers do with cookies depends on it.
describeWithChromium('a login at the issuer, from the approval page', () => {
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const said: string[] = [];
  let issuer: Issuer;
  let server: TeamServer;
  let asker: Visitor;
  let [home, root]: string[] = [];

  beforeAll(async () => {
    folders = await Promise.all(['home', 'root'].map(tempFolder));
    [home, root] = folders.map((folder) => folder.path);
    const mark = 'echo ran >> "$POLYCRATE_WORKSPACE/marks"';
    await writeWorkspace(root!, { name: 'shop', organization: 'acme', blocks: { db: { version: '1.4.3', actions: [script('restart', mark)] } } });
    issuer = await startIssuer(home!);
    const port = await freePort();
    const at = `http://localhost:${port}`;
    issuer.logins.applications.set('approvals', { secret: null, redirect: `${at}/approvals/login` });
    const ada = await makeKey({ home: home!, name: 'Ada', args: ['--role', 'runner'] });
    const env = {
      ...localSettings(root!),
      POLYCRATE_MCP_RUN_MODE: 'ask',
      POLYCRATE_MCP_PUBLIC_URL: at,
      POLYCRATE_MCP_OIDC_ISSUER: issuer.url,
      POLYCRATE_MCP_OIDC_CLIENT_ID: 'approvals',
      POLYCRATE_MCP_CA_FILE: issuer.caFile,
    };
    server = await serve({ home: home!, env, port });
    asker = await visit({ url: server.url, token: ada.token });
    browser = await openChromium();
    context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ignoreHTTPSErrors: true });
    page = await context.newPage();
    page.on('console', (message) => said.push(message.text()));
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await asker?.close();
    await server?.end();
    issuer?.server.close();
    await Promise.all(folders.map((folder) => folder.remove()));
  });

  const ask = async (): Promise<{ id: string; link: string }> => {
    const target = { workspace: 'shop', block: 'db', action: 'restart', reason: 'disk is full' };
    const { data } = await asker.call('run_action', { ...target, allow_concurrent: true });
    return { id: data.run.id as string, link: /http\S+$/.exec(data.run.approval_needed.how.join('\n'))![0] };
  };
  const executions = (): number => {
    try {
      return readFileSync(join(root!, 'acme', 'shop', 'marks'), 'utf8').split('\n').length - 1;
    } catch {
      return 0;
    }
  };
  const ended = async (run_id: string): Promise<any> => {
    await asker.call('wait_for_action_run', { run_id, wait_seconds: 50 });
    return (await asker.call('get_action_run', { run_id })).data.run;
  };
  const signIn = async (): Promise<void> =>
    await page.getByRole('button', { name: `Log in with ${new URL(issuer.url).host}` }).click();
  const shot = async (name: string): Promise<void> => {
    if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  };
  const cookies = async (): Promise<string[]> => (await context.cookies()).map(({ name }) => name);

  it('goes from the link of a run to its approval, and who approved is in the record', async () => {
    const { id, link } = await ask();
    await page.goto(link);
    expect(await page.content()).not.toContain('shop');
    expect(await page.getByLabel('API key or access token').count()).toBe(1);
    await shot('sign-in');
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await shot('sign-in-narrow');
    await page.setViewportSize({ width: 1200, height: 800 });
    await signIn();
    await page.getByRole('heading', { name: 'Who are you?' }).waitFor();
    expect((await context.cookies(link)).find(({ name }) => name === 'polycrate_sign_in')).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/approvals' });
    await page.getByRole('button', { name: 'I am Mei' }).click();
    await page.getByRole('heading', { name: 'Approve db restart?' }).waitFor();
    expect(page.url()).toBe(link);
    expect(await page.getByRole('main').textContent()).toContain('Logged in as mei@example.com');
    await shot('signed-in');
    expect((await context.cookies(link)).find(({ name }) => name === 'polycrate_approver')).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/approvals' });
    expect(await cookies()).not.toContain('polycrate_sign_in');
    expect(executions()).toBe(0);
    await page.getByLabel('Reason').fill('Replica is up');
    await page.getByRole('button', { name: 'Approve this run' }).click();
    expect(await page.getByRole('status').textContent()).toContain('approved');
    const run = await ended(id);
    expect(run).toMatchObject({ status: 'success', approval: { by: 'mei@example.com', strength: 'key', reason: 'Replica is up' } });
    expect(run.approvals).toEqual([expect.objectContaining({ principal: expect.objectContaining({ kind: 'oidc', subject: 'u-1', issuer: issuer.url }) })]);
    expect(executions()).toBe(1);
  }, 120_000);

  it('says that it was declined, and leads back to the login', async () => {
    const { id, link } = await ask();
    await page.goto(link);
    await page.getByRole('button', { name: 'Log out' }).click();
    await signIn();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('heading', { name: 'Not logged in' }).waitFor();
    expect(await page.getByRole('status').textContent()).toContain('was declined');
    await shot('sign-in-declined');
    expect(await cookies()).toEqual(['polycrate_visit']);
    await page.getByRole('link', { name: 'Back to the login' }).click();
    expect(page.url()).toBe(link);
    expect(await page.getByRole('button', { name: /^Log in with/ }).count()).toBe(1);
    await asker.call('cancel_action_run', { run_id: id });
  }, 120_000);

  it('is one click for who is logged in elsewhere, wherever the issuer sends the browser meanwhile', async () => {
    issuer.logins.silent = true;
    const { id, link } = await ask();
    await page.goto(link);
    await signIn();
    await page.getByRole('heading', { name: 'Approve db restart?' }).waitFor();
    expect(page.url()).toBe(link);
    await page.getByRole('button', { name: 'Deny' }).click();
    expect(await page.getByRole('status').textContent()).toContain('waits no more');
    expect(await ended(id)).toMatchObject({ status: 'cancelled', approval: { outcome: 'declined', by: 'mei@example.com' } });
    expect(executions()).toBe(1);
    // What browsers say on their own account about an answer with an error is all that was said.
    expect(said.filter((line) => !line.includes('the server responded with a status'))).toEqual([]);
  }, 120_000);
}); // prettier-ignore
