import { rm } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACME_HOST, acmeWorkspace } from '../support/acme.ts';
import { describeWithSshTarget } from '../support/engine.ts';
import { connect, ERAS, tempFolder, type Answer, type Connection, type Era } from '../support/mcp.ts';
import { startSshTarget, type SshTarget } from '../support/ssh-target.ts';
import { NOTHING, settledTraces } from '../support/traces.ts';

// "Who restarted the production database?" – from the first look at the workspace to the answer, in every era.

/** Yesterday's client runs without asking, the others ask a human. */
const MODES: Record<Era, 'ask' | 'trusted'> = { modern: 'ask', legacy: 'ask', v1: 'trusted' };
const BLOCK = { workspace: 'acme-corp-automation', block: 'db-maintenance' };

describeWithSshTarget('the acme story', () => {
  let target: SshTarget;
  let workspace: Awaited<ReturnType<typeof acmeWorkspace>>;
  beforeAll(async () => {
    target = await startSshTarget();
    workspace = await acmeWorkspace(target);
  });
  afterAll(async () => {
    await target.stop();
    await rm(workspace.root, { recursive: true });
  });

  describe.each(ERAS)('told by a %s client', (era) => {
    const mode = MODES[era];
    const questions: string[] = [];
    const answers: Answer[] = [];
    let home: Awaited<ReturnType<typeof tempFolder>>;
    let server: Connection;
    let digest: string;
    let run_id: string;

    beforeAll(async () => {
      home = await tempFolder(`acme-${era}`);
      server = await connect({
        era,
        home: home.path,
        env: {
          POLYCRATE_MCP_WORKSPACES: workspace.root,
          POLYCRATE_MCP_RUN_MODE: mode,
          POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
          POLYCRATE_MCP_EXTRA_HOSTS: `${ACME_HOST}:127.0.0.1`,
        },
        ...(mode === 'ask' && {
          onAsk: ({ message }) => {
            questions.push(message);
            return { action: 'accept', content: { approve: true } };
          },
        }),
      });
    });
    afterAll(async () => {
      await server.close();
      await home.remove();
    });

    const ask = async (tool: string, args: Record<string, unknown> = {}): Promise<any> => {
      const answer = await server.call(tool, args);
      answers.push(answer);
      expect(answer.error).toBeNull();
      return answer.data;
    };

    it('looks around', async () => {
      const { workspaces } = await ask('list_workspaces', { environment: 'production' });
      expect(workspaces).toMatchObject([
        {
          name: 'acme-corp-automation',
          organization: 'acme',
          environment: { value: 'production' },
          problems: [],
        },
      ]);
      const { blocks } = await ask('list_blocks', { workspace: 'acme-corp-automation' });
      expect(blocks).toMatchObject([{ name: 'db-maintenance', version: '0.1.0', problems: [] }]);
      expect(blocks[0].actions.map(({ name, kind }: any) => [name, kind])).toEqual([
        ['restart', 'playbook'],
        ['status', 'playbook'],
      ]);
    });

    it('plans the restart, down to the host and the rule', async () => {
      const { plan } = await ask('plan_action', { ...BLOCK, action: 'restart' });
      expect(plan).toMatchObject({
        hosts: [ACME_HOST],
        inventory: 'inventory.yml',
        environment: { value: 'production' },
        warnings: [],
        policy: { decision: mode === 'ask' ? 'approve' : 'allow', rule: `mode:${mode}` },
      });
      digest = plan.digest;
    });

    it('restarts the database once, however often it is told to', async () => {
      const before = await target.databaseStartedAt();
      const request = {
        ...{ ...BLOCK, action: 'restart', plan_digest: digest, wait_seconds: 50 },
        ...{ reason: 'connections pile up', idempotency_key: `restart-${era}` },
      };
      const done = await ask('run_action', request);
      expect(done).toMatchObject({ finished: true, succeeded: true, launched: true, replayed: false });
      run_id = done.run.id;
      const restarted = await target.databaseStartedAt();
      expect(Date.parse(restarted)).toBeGreaterThan(Date.parse(before));

      const again = await ask('run_action', request);
      expect(again).toMatchObject({ succeeded: true, replayed: true, run: { id: run_id } });
      expect(await target.databaseStartedAt()).toBe(restarted);
      expect(questions).toHaveLength(mode === 'ask' ? 1 : 0);
      if (mode === 'ask') expect(questions[0]).toContain(`Hosts: ${ACME_HOST}`);
    });

    it('answers who, when, from where, which version and for how long', async () => {
      const found = await ask('search_action_runs', {
        ...{ block: 'db-maintenance', action: 'restart', environment: 'production', since: '1h' },
      });
      expect(found).toMatchObject({ returned: 1, total: 1, coverage: [{ source: 'ledger' }] });
      const [row] = found.runs;
      expect(row).toMatchObject({
        id: run_id,
        status: 'success',
        exit_code: 0,
        environment: 'production',
        block_version: '0.1.0',
        user: userInfo().username,
        host: hostname(),
      });
      expect(Date.now() - Date.parse(row.started_at)).toBeLessThan(120_000);
      expect(row.duration_ms).toBeGreaterThan(500);
      const mine = await ask('search_action_runs', { user: userInfo().username, host: hostname() });
      expect(mine.runs).toEqual(found.runs);
    });

    it('shows the whole record', async () => {
      const { run } = await ask('get_action_run', { run_id });
      expect(run).toMatchObject({
        client: { name: 'test-client', version: '1.2.3' },
        principal: { kind: 'os', display: userInfo().username, issuer: hostname() },
        reason: 'connections pile up',
        environment: { value: 'production', origin: 'label' },
        organization: 'acme',
        trigger: 'mcp',
        plan_digest: digest,
        executor: { kind: 'docker', image: 'polycrate-mcp-test/toolchain:1' },
      });
      const approved = { outcome: 'approved', strength: 'client', by: userInfo().username };
      if (mode === 'ask') expect(run.approval).toMatchObject(approved);
      else expect(run.approval).toBeNull();
      const times = ['requested_at', 'started_at', 'finished_at'].map((name) => Date.parse(run[name]));
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    });

    it('reads the recap of the play', async () => {
      const { lines } = await ask('read_action_run_log', {
        run_id,
        mode: 'grep',
        pattern: `^${ACME_HOST}\\s+:`,
      });
      expect(lines).toHaveLength(1);
      expect(lines[0].text).toMatch(/ok=2 +changed=1 +unreachable=0 +failed=0/);
      const tail = await ask('read_action_run_log', { run_id });
      expect(tail.lines.map(({ text }: any) => text).join('\n')).toContain('PLAY RECAP');
    });

    it('never shows what is in the secret key, and leaves nothing behind', async () => {
      await ask('get_block', BLOCK);
      const secret = target.privateKey
        .split('\n')
        .filter((line) => line.length > 20 && !line.startsWith('-'));
      expect(secret.length).toBeGreaterThan(3);
      const said = JSON.stringify([answers, questions]);
      expect(said).toContain('prod-db.key');
      for (const line of secret) expect(said).not.toContain(line);
      expect(await settledTraces(home.path, [server.pid])).toEqual(NOTHING);
    });
  });
});
