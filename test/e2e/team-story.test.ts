import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ACME_HOST, acmeWorkspace } from '../support/acme.ts';
import { apiClient } from '../support/api-client.ts';
import { describeWithChromium, openChromium } from '../support/chromium.ts';
import { describeWithSshTarget } from '../support/engine.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { startSshTarget, type SshTarget } from '../support/ssh-target.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';

// A team, its server, and the restart of a production database: from a report of a CLI to the answer for the auditor.

const PLACE = { organization: 'acme', workspace: 'acme-corp-automation', block: 'db-maintenance' };
const RESTART = { workspace: PLACE.workspace, block: PLACE.block, action: 'restart' };
const POLICY = {
  version: 1,
  rules: [
    {
      name: 'production',
      when: { environment: 'production', action: 'restart' },
      decision: 'approve',
      reason: 'required',
      approve: { strength: 'other_principal' },
    },
    { name: 'looks', when: { action: 'status' }, decision: 'allow' },
  ],
};

type Key = Awaited<ReturnType<typeof makeKey>>;

describeWithSshTarget('the team story', () => {
  describeWithPostgres('on PostgreSQL', () => {
    describeWithChromium('with a browser', () => {
      let target: SshTarget;
      let workspace: Awaited<ReturnType<typeof acmeWorkspace>>;
      let postgres: PostgresServer;
      let database: Place;
      let folders: Awaited<ReturnType<typeof tempFolder>>[];
      let team: TeamServer;
      let browser: Browser;
      let page: Page;
      const keys: Record<'ada' | 'bea' | 'laptop' | 'auditor', Key> = {} as never;
      const visitors: Record<'ada' | 'auditor', Visitor> = {} as never;
      let run_id: string;
      let link: string;
      let before: string;

      beforeAll(async () => {
        [target, postgres] = await Promise.all([startSshTarget(), usePostgres()]);
        [workspace, database, folders] = await Promise.all([
          acmeWorkspace(target),
          postgres.place(),
          Promise.all(['home', 'rules'].map((name) => tempFolder(name))),
        ]);
        const [home, rules] = [folders[0]!.path, folders[1]!.path];
        const [policy, people] = [join(rules, 'policy.json'), join(rules, 'people.json')];
        writeFileSync(policy, JSON.stringify(POLICY));
        writeFileSync(people, JSON.stringify({ people: [] }));
        const env = {
          POLYCRATE_MCP_WORKSPACES: workspace.root,
          POLYCRATE_MCP_DATABASE_URL: database.url,
          POLYCRATE_MCP_RUN_MODE: 'policy',
          POLYCRATE_MCP_POLICY: policy,
          POLYCRATE_MCP_PEOPLE: people,
          POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
          POLYCRATE_MCP_EXTRA_HOSTS: `${ACME_HOST}:127.0.0.1`,
          POLYCRATE_MCP_LOG_LEVEL: 'error',
        };
        const key = (name: string, ...args: string[]): Promise<Key> => makeKey({ home, env, name, args });
        keys.ada = await key('runbook of Ada', '--role', 'runner', '--role', 'approver', '--for', 'acme');
        keys.bea = await key('Bea', '--role', 'approver', '--for', 'acme');
        keys.laptop = await key('laptop of Cy', '--role', 'runner', '--for', 'acme');
        keys.auditor = await key('auditor', '--role', 'reader');
        const persons = (['ada', 'bea'] as const).map((name) => ({
          person: name,
          principals: [`key:${keys[name].id}`],
        }));
        writeFileSync(people, JSON.stringify({ people: persons }));
        team = await serve({ home, env });
        visitors.ada = await visit({ url: team.url, token: keys.ada.token });
        visitors.auditor = await visit({ url: team.url, token: keys.auditor.token });
        browser = await openChromium();
        page = await browser.newPage();
      }, 120_000);
      afterAll(async () => {
        await browser?.close();
        await Promise.all(Object.values(visitors).map((visitor) => visitor.close()));
        expect(await team.end()).toBe(0);
        await Promise.all([database.remove(), target.stop(), rm(workspace.root, { recursive: true })]);
        await Promise.all([postgres.stop(), ...folders.map((folder) => folder.remove())]);
      });

      const ask = async (who: keyof typeof visitors, tool: string, args: object): Promise<any> => {
        const { data, error } = await visitors[who].call(tool, { ...args });
        expect(error).toBeNull();
        return data;
      };
      const logIn = async (key: Key): Promise<void> => {
        await page.goto(link);
        await page.getByLabel('API key').fill(key.token);
        await page.getByRole('button', { name: 'Log in' }).click();
      };

      it('a CLI reports what it ran, and an assistant knows', async () => {
        const api = apiClient(team.url);
        const token = keys.laptop.token;
        const body = { ...PLACE, action: 'status', started_at: new Date().toISOString() };
        const started = await api({ method: 'POST', path: '/api/v1/cli/action-runs/start/', token, body });
        const id: string = started.body.action_run_id;
        const end = { exit_code: 0, metadata: { hostname: 'laptop-7', user: 'cy' } };
        await api({ method: 'POST', path: `/api/v1/cli/action-runs/${id}/finish/`, token, body: end });
        const { runs, total } = await ask('ada', 'search_action_runs', { action: 'status', since: '1h' });
        expect(total).toBe(1);
        expect(runs).toMatchObject([{ id, status: 'success', source: 'ingest', host: 'laptop-7' }]);
      });

      it('a restart in production without a reason is refused, with one it waits, and nothing happens', async () => {
        before = await target.databaseStartedAt();
        const refused = await visitors.ada.call('run_action', RESTART);
        expect(refused.error).toMatchObject({ message: expect.stringContaining('reason') });
        const { run } = await ask('ada', 'run_action', { ...RESTART, reason: 'connections pile up' });
        run_id = run.id;
        expect(run.status).toBe('pending');
        link = /http\S+$/.exec(run.approval_needed.how.join('\n'))![0];
        expect(await target.databaseStartedAt()).toBe(before);
      });

      it('the one who asked cannot approve it', async () => {
        await logIn(keys.ada);
        await page.getByRole('button', { name: 'Approve this run' }).click();
        expect(await page.getByRole('status').textContent()).toContain('nobody approves what they asked for');
        await page.getByRole('button', { name: 'Log out' }).click();
        expect(await target.databaseStartedAt()).toBe(before);
      });

      it('a second person does, and the database is restarted over SSH', async () => {
        await logIn(keys.bea);
        const shown = (await page.getByRole('main').textContent())!;
        for (const part of ['connections pile up', 'runbook of Ada', 'db-maintenance', ACME_HOST]) expect(shown).toContain(part);
        await page.getByLabel('Reason').fill('Seen it on the dashboard');
        await page.getByRole('button', { name: 'Approve this run' }).click();
        expect(await page.getByRole('status').textContent()).toContain('approved');
        const done = await ask('ada', 'wait_for_action_run', { run_id, wait_seconds: 50 });
        expect(done).toMatchObject({ finished: true, succeeded: true });
        expect(Date.parse(await target.databaseStartedAt())).toBeGreaterThan(Date.parse(before));
      }, 90_000); // prettier-ignore

      it('the auditor is told who asked, who approved, and why', async () => {
        const found = await ask('auditor', 'search_action_runs', { action: 'restart', environment: 'production', since: '1h' });
        expect(found).toMatchObject({ total: 1, runs: [{ id: run_id, status: 'success', user: 'runbook of Ada' }] });
        const { run } = await ask('auditor', 'get_action_run', { run_id });
        expect(run).toMatchObject({
          principal: { kind: 'key', display: 'runbook of Ada' },
          reason: 'connections pile up',
          approval: { outcome: 'approved', strength: 'other_principal', by: 'Bea', person: 'bea', reason: 'Seen it on the dashboard' },
          policy_rule: 'production',
          launched: true,
          exit_code: 0,
        });
      }); // prettier-ignore
    });
  });
});
