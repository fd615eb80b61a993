import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithChromium, openChromium } from '../support/chromium.ts';
import { tempFolder } from '../support/mcp.ts';
import { command, makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const SHOTS = process.env['POLYCRATE_MCP_TEST_SHOTS'];

describeWithChromium('the approval page', () => {
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let browser: Browser;
  let server: TeamServer;
  let asker: Visitor;
  let [home, root]: string[] = [];
  type Key = Awaited<ReturnType<typeof makeKey>>;
  let [ada, bea, rea, elsewhere]: Key[] = [];
  let env: Record<string, string>;

  beforeAll(async () => {
    folders = await Promise.all(['home', 'root', 'rules'].map(tempFolder));
    [home, root] = [folders[0]!.path, folders[1]!.path];
    const mark = 'echo ran >> "$POLYCRATE_WORKSPACE/marks"';
    const restart = { ...script('restart', mark), prompt: 'Is <b>the replica</b> up?' };
    await writeWorkspace(root, { name: 'shop', organization: 'acme', blocks: { db: { version: '1.4.3', actions: [restart, script('soon', mark)] } }, rest: { labels: { environment: 'production' } } });
    const policy = join(folders[2]!.path, 'policy.json');
    const rule = { name: 'production', when: { environment: 'production' }, decision: 'approve', why: 'production wants a second look', approve: { strength: 'key' } };
    const soon = { name: 'soon', when: { action: 'soon' }, decision: 'approve', approve: { strength: 'key', expires: '1s' } };
    writeFileSync(policy, JSON.stringify({ version: 1, rules: [soon, rule] }));
    env = { ...localSettings(root), POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy };
    const key = (name: string, ...args: string[]) => makeKey({ home: home!, name, args });
    ada = await key('Ada', '--role', 'runner', '--role', 'approver');
    bea = await key('Bea', '--role', 'approver');
    rea = await key('Rea', '--role', 'reader');
    elsewhere = await key('Eve', '--role', 'approver', '--for', 'globex');
    server = await serve({ home, env });
    asker = await visit({ url: server.url, token: ada.token });
    browser = await openChromium();
  }, 120_000); // prettier-ignore
  afterAll(async () => {
    await browser?.close();
    await asker?.close();
    await server?.end();
    await Promise.all(folders.map((folder) => folder.remove()));
  });

  const ask = async (reason = 'disk is full', action = 'restart'): Promise<{ id: string; link: string }> => {
    const { data } = await asker.call('run_action', {
      workspace: 'shop',
      block: 'db',
      action,
      reason,
      allow_concurrent: true,
    });
    const link = /http\S+$/.exec(data.run.approval_needed.how.join('\n'))![0];
    return { id: data.run.id as string, link };
  };
  const executions = (): number => {
    try {
      return readFileSync(join(root!, 'acme', 'shop', 'marks'), 'utf8').split('\n').length - 1;
    } catch {
      return 0;
    }
  };
  const ended = async (run_id: string): Promise<any> =>
    (await asker.call('wait_for_action_run', { run_id, wait_seconds: 50 })).data.run;
  const logIn = async (page: Page, key: Key | undefined): Promise<void> => {
    await page.getByLabel('API key').fill(key!.token);
    await page.getByRole('button', { name: 'Log in' }).click();
  };
  const shot = async (page: Page, name: string): Promise<void> => {
    if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  };

  it('shows nothing before a login, then plan and prompt; a second person approves, and the action runs', async () => {
    expect((await asker.call('get_status')).data.policy.approvals_are).toContain('a boundary, unless');
    const { id, link } = await ask('disk <is> full');
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
    const page = await context.newPage();
    const said: string[] = [];
    page.on('console', (message) => said.push(message.text()));
    const response = await page.goto(link);
    expect(response!.headers()).toMatchObject({ 'content-security-policy': expect.stringContaining("default-src 'none'"), 'cache-control': 'no-store' });
    expect(await page.content()).not.toContain('shop');
    await shot(page, 'login');
    await logIn(page, { id: '', token: 'pmk_000000000000_nothing' });
    expect(await page.getByRole('status').textContent()).toContain('no key');
    await logIn(page, ada);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Approve db restart?');
    await page.getByRole('button', { name: 'Approve this run' }).click();
    expect(await page.getByRole('status').textContent()).toContain('nobody approves what they asked for themselves');
    await page.getByRole('button', { name: 'Log out' }).click();
    await logIn(page, rea);
    expect(await page.getByRole('status').textContent()).toContain('needs the role approver');
    expect(await page.getByRole('button', { name: 'Approve this run' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Log out' }).click();
    await logIn(page, elsewhere);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('This link is not valid');
    await context.clearCookies();
    await page.goto(link);
    await logIn(page, bea);
    const text = (await page.getByRole('main').textContent())!;
    for (const part of ['Is <b>the replica</b> up?', 'disk <is> full', 'acme/shop (production)', 'db 1.4.3', 'Ada', 'production wants a second look']) expect(text).toContain(part);
    await shot(page, 'desktop');
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await shot(page, 'narrow');
    const unlabelled = await page.evaluate(`[...document.querySelectorAll('input:not([type=hidden]), textarea')].filter((field) => field.labels.length === 0).length`);
    expect(unlabelled).toBe(0);
    const cookies = await context.cookies();
    expect(cookies.length).toBeGreaterThan(0);
    for (const cookie of cookies) expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/approvals' });
    expect(executions()).toBe(0);
    await page.getByLabel('Reason').fill('Replica is up');
    await page.getByRole('button', { name: 'Approve this run' }).click();
    expect(await page.getByRole('status').textContent()).toContain('approved');
    expect(await ended(id)).toMatchObject({ status: 'success', approval: { by: 'Bea', strength: 'key', reason: 'Replica is up' } });
    expect(executions()).toBe(1);
    await page.reload();
    expect(await page.getByRole('button', { name: 'Approve this run' }).count()).toBe(0);
    await shot(page, 'approved');
    // What browsers say on their own account about a 403 is all that was said: no part of the page was refused.
    expect(said.filter((line) => !line.includes('the server responded with a status'))).toEqual([]);
    await context.close();
  }, 120_000); // prettier-ignore

  it('takes no altered, expired or replayed link, no forged form, and no session of a key that was revoked', async () => {
    const { id, link } = await ask();
    const before = executions();
    const url = new URL(link);
    const get = (to: URL | string, cookie = '') => fetch(to, { redirect: 'manual', headers: { cookie } });
    const altered = new URL(link);
    const [letter, ...rest] = url.searchParams.get('sig')!;
    altered.searchParams.set('sig', [letter === 'A' ? 'B' : 'A', ...rest].join(''));
    const other = new URL(link.replace(id, '01aaaaaa-aaaa-7000-8000-000000000001'));
    for (const wrong of [altered, other, new URL(`/approvals/${id}`, link), new URL('/approvals', link)]) expect((await get(wrong)).status).toBe(404);
    const late = (await ask('late', 'soon')).link;
    await expect.poll(async () => (await get(late)).status, { timeout: 30_000 }).toBe(410);
    // A form by hand, as the browser would send it.
    const cookiesOf = (response: Response): string => response.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');
    const tokenOf = async (response: Response): Promise<string> => /name="token" value="([^"]+)"/.exec(await response.text())![1]!;
    const post = (fields: Record<string, string>, cookie: string, headers = {}) =>
      fetch(link, { method: 'POST', redirect: 'manual', headers: { cookie, ...headers }, body: new URLSearchParams(fields) });
    const first = await get(link);
    const visited = cookiesOf(first);
    const token = await tokenOf(first);
    const key = await makeKey({ home: home!, name: 'Gone', args: ['--role', 'approver'] });
    expect((await post({ step: 'login', key: key.token }, visited)).status).toBe(403);
    expect((await post({ step: 'login', key: key.token, token }, '')).status).toBe(403);
    expect((await post({ step: 'login', key: key.token, token }, visited, { origin: 'https://evil.example' })).status).toBe(403);
    const entered = await post({ step: 'login', key: key.token, token }, visited);
    expect(entered.status).toBe(303);
    const session = `${visited}; ${cookiesOf(entered)}`;
    const form = await tokenOf(await get(link, session));
    expect(form).not.toBe(token);
    for (const wrong of [token, '', `${form}x`]) expect((await post({ step: 'approve', token: wrong }, session)).status).toBe(403);
    const forged = session.replace(/(polycrate_approver=[^.]+\.)\d+/, '$19999999999999');
    expect((await post({ step: 'approve', token: form }, forged)).status).toBe(403);
    expect((await post({ step: 'approve', token: form, reason: 'x'.repeat(20_000) }, session)).status).toBe(413);
    await command({ home: home!, args: ['keys', 'revoke', key.id] });
    expect((await post({ step: 'approve', token: form }, session)).status).toBe(403);
    expect((await asker.call('get_action_run', { run_id: id })).data.run).toMatchObject({ status: 'pending', approvals: [] });
    await asker.call('cancel_action_run', { run_id: id });
    expect(executions()).toBe(before);
  }, 120_000); // prettier-ignore
});
