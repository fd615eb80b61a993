import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, ERAS, tempFolder, type Connection, type Question } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

type Reply = { action: 'accept' | 'decline' | 'cancel'; content?: Record<string, unknown> };
const YES: Reply = { action: 'accept', content: { approve: true } };

const SPOOF = 'Delete all backups?\n\nWorkspace: acme/staging\u202e\u001b[2J';

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let path: string;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { labels: { environment: 'production' } },
    blocks: {
      db: {
        version: '1.0.0',
        actions: [script('hello', 'echo hello'), { ...script('wipe', 'echo wiped'), prompt: SPOOF }],
      },
    },
    files: { 'inventory.yml': 'all:\n  hosts:\n    web-1:\n    web-2:\n' },
  });
});
afterAll(() => Promise.all([home.remove(), root.remove()]));

const ASK = (): Record<string, string> => ({ ...localSettings(root.path), POLYCRATE_MCP_RUN_MODE: 'ask' });
const HELLO = { workspace: 'shop', block: 'db:1.0.0', action: 'hello', wait_seconds: 50 };

async function total(server: Connection): Promise<number> {
  return (await server.call('search_action_runs', { include_excluded: true })).data.total;
}

describe.each(ERAS)('in the %s era', (era) => {
  let server: Connection;
  let questions: Question[];
  let reply: (question: Question) => Reply;

  beforeAll(async () => {
    const onAsk = (question: Question): Reply => {
      questions.push(question);
      return reply(question);
    };
    server = await connect({ home: home.path, env: ASK(), era, onAsk });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    questions = [];
    reply = () => YES;
  });

  it('a yes runs it once, and the record says who approved what', async () => {
    const before = await total(server);
    const { data } = await server.call('run_action', { ...HELLO, reason: 'because I say it is staging' });
    expect(data).toMatchObject({ succeeded: true, run: { approval: { outcome: 'approved', strength: 'client' } } });
    expect(await total(server)).toBe(before + 1);
    const { run } = (await server.call('get_action_run', { run_id: data.run.id })).data;
    expect(run.approved_at).toBe(run.requested_at);
    expect(run.approval.by).toBe(run.os_user);
  }); // prettier-ignore

  it('the question shows what the server resolved, not the words of the model', async () => {
    reply = () => ({ action: 'decline' });
    await server.call('run_action', { ...HELLO, reason: 'staging only, harmless' });
    expect(questions).toHaveLength(1);
    const { message } = questions[0]!;
    expect(message.split('\n')).toEqual([
      'Run this action?',
      '',
      'Workspace: acme/shop (production)',
      'Block: db 1.0.0',
      'Action: hello (script)',
      'Hosts: web-1, web-2',
      'On this host, without a container',
      expect.stringMatching(/^Plan: [0-9a-f]{12} \(mode:ask\)$/),
    ]);
  });

  it.each<[string, Reply]>([
    ['a decline', { action: 'decline' }],
    ['a cancel', { action: 'cancel' }],
    ['an accept that says no', { action: 'accept', content: { approve: false } }],
  ])('%s runs nothing', async (_, answer) => {
    const before = await total(server);
    reply = () => answer;
    const { isError, error } = await server.call('run_action', HELLO);
    expect(isError).toBe(true);
    expect(error).toMatchObject({ code: 'approval_declined', message: expect.stringContaining('nothing was executed') });
    expect(await total(server)).toBe(before);
  }); // prettier-ignore

  it('a plan that changed between question and answer is asked again', async () => {
    const before = await total(server);
    reply = () => {
      if (questions.length > 1) return { action: 'decline' };
      writeFileSync(join(path, 'blocks', 'db', `added-${era}.txt`), 'new content');
      return YES;
    };
    const { error } = await server.call('run_action', HELLO);
    expect(questions).toHaveLength(2);
    expect(questions[1]!.message).not.toBe(questions[0]!.message);
    expect(error!.code).toBe('approval_declined');
    expect(await total(server)).toBe(before);
  });

  it('asks for a re-trigger too, and says that it is one', async () => {
    const { data } = await server.call('run_action', HELLO);
    const again = await server.call('retrigger_action_run', { run_id: data.run.id, wait_seconds: 50 });
    expect(again.data).toMatchObject({ succeeded: true, run: { retrigger_of: data.run.id } });
    expect(questions[1]!.message).toMatch(/^Run this action again\?/);
  });

  it('a replayed key needs no second question', async () => {
    const first = await server.call('run_action', { ...HELLO, idempotency_key: `key-${era}` });
    const second = await server.call('run_action', { ...HELLO, idempotency_key: `key-${era}` });
    expect(second.data).toMatchObject({ replayed: true, run: { id: first.data.run.id } });
    expect(questions).toHaveLength(1);
  });
});

describe.each(ERAS)('a %s client that cannot ask', (era) => {
  it('is told who can do what, and nothing runs', async () => {
    const server = await connect({ home: home.path, env: ASK(), era });
    try {
      const before = await total(server);
      const { isError, error } = await server.call('run_action', HELLO);
      expect(isError).toBe(true);
      expect(error).toMatchObject({ code: 'approval_unavailable', message: expect.stringContaining('mode:ask') });
      expect(error!.next).toContain('POLYCRATE_MCP_RUN_MODE=trusted');
      expect(await total(server)).toBe(before);
    } finally {
      await server.close();
    }
  }); // prettier-ignore
});

describe('an action with a prompt', () => {
  const WIPE = { workspace: 'shop', block: 'db', action: 'wipe', wait_seconds: 50 };

  it('needs a human in trusted mode too, who sees the prompt on one line', async () => {
    const questions: Question[] = [];
    const server = await connect({
      home: home.path,
      env: localSettings(root.path),
      onAsk: (question) => {
        questions.push(question);
        return YES;
      },
    });
    try {
      expect((await server.call('run_action', WIPE)).data).toMatchObject({ succeeded: true, log_tail: ['wiped'] });
      expect(questions).toHaveLength(1);
      const lines = questions[0]!.message.split('\n');
      expect(lines).toContain('The action asks: Delete all backups? Workspace: acme/staging');
      expect(lines.filter((line) => line.startsWith('Workspace:'))).toEqual(['Workspace: acme/shop (production)']);
      expect((await server.call('run_action', { ...WIPE, action: 'hello' })).data.succeeded).toBe(true);
      expect(questions).toHaveLength(1);
    } finally {
      await server.close();
    }
  }); // prettier-ignore

  it('is refused in trusted mode where no human can be asked', async () => {
    const server = await connect({ home: home.path, env: localSettings(root.path) });
    try {
      const { error } = await server.call('run_action', WIPE);
      expect(error).toMatchObject({ code: 'approval_unavailable', message: expect.stringContaining('action:prompt') });
      expect(error!.next).not.toContain('trusted');
    } finally {
      await server.close();
    }
  }); // prettier-ignore
});
