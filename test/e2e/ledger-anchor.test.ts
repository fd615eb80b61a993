import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { runLedger } from '../support/ledger-command.ts';
import { connect, tempFolder } from '../support/mcp.ts';
import { until } from '../support/traces.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let repository: string;
const GIT = { env: { PATH: process.env['PATH'] }, encoding: 'utf8' } as const;

beforeAll(async () => {
  home = await tempFolder('ledger-anchor');
  await fillLedger(home.path, [{ requested_at: 1_000, display: 'Ada' }]);
  repository = join(home.path, 'shop');
  execFileSync('git', ['init', '-q', repository], GIT);
  const identity = ['-c', 'user.name=a', '-c', 'user.email=a@b'];
  execFileSync('git', ['-C', repository, ...identity, 'commit', '-q', '--allow-empty', '-m', 'first'], GIT);
});
afterAll(() => home.remove());

const ledger = (args: string[], env: Record<string, string> = {}) => runLedger(home.path, args, env);

describe.sequential('an operator', () => {
  it('writes a git note, which verification takes as an anchor', () => {
    const written = ledger(['checkpoint', '--git-note', repository, '--json']);
    expect(written.stderr).toContain(`written to git:${repository}`);
    expect(written.status).toBe(0);
    const shown = execFileSync('git', ['-C', repository, 'notes', '--ref=polycrate-mcp', 'show'], GIT);
    expect(JSON.parse(shown)).toEqual(JSON.parse(written.stdout));
    const { status, stdout } = ledger(['verify', '--anchor', `git:${repository}`]);
    expect(stdout).toContain('SOUND');
    expect(status).toBe(0);
  });

  it.each([
    [['checkpoint', '--git-note', '/nowhere'], '/nowhere cannot hold anchors'],
    [['checkpoint', '--git-note', 'x', '--out', 'y'], '--out and --git-note name two places'],
    [['verify', '--anchor', 'git:/nowhere'], 'cannot be used as an anchor'],
    [['verify', '--checkpoint-every', '1h'], 'POLYCRATE_MCP_CHECKPOINT_EVERY needs POLYCRATE_MCP_CHECKPOINT_TO'],
  ])('uses it wrongly, %j: 2', (args, message) => {
    const { status, stderr } = ledger(args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  }); // prettier-ignore

  it('has it written by the servers that are used, and sees it in their status', async () => {
    const file = join(home.path, 'timed.json');
    const env = { POLYCRATE_MCP_CHECKPOINT_EVERY: '1s', POLYCRATE_MCP_CHECKPOINT_TO: file };
    await fillLedger(home.path, [{ requested_at: 2_000, display: 'Bob' }]);
    const servers = [await connect({ home: home.path, env }), await connect({ home: home.path, env })];
    try {
      // A server that is only probed does nothing.
      expect(existsSync(file)).toBe(false);
      const status = await servers[0]!.call('get_status');
      expect(status.data.ledger.checkpoint_timer).toEqual({ every_seconds: 1, place: file, problem: null });
      await servers[1]!.call('get_status');
      await until('an anchor', () => existsSync(file));
      const { size } = JSON.parse(readFileSync(file, 'utf8')) as { size: number };
      // Two runs, and the read that is stored with its answer.
      expect(size).toBe(7);
      await until('a status that says so', async () => {
        const { data } = await servers[1]!.call('get_status');
        return data.ledger.outside_anchor.place === file && data.ledger.outside_anchor.up_to_event === size;
      });
    } finally {
      await Promise.all(servers.map((server) => server.close()));
    }
    expect(ledger(['verify', '--anchor', file]).status).toBe(0);
  });

  it('is told in the status that it fails, while the server works', async () => {
    const place = join(home.path, 'nowhere', 'timed.json');
    const env = { POLYCRATE_MCP_CHECKPOINT_EVERY: '1s', POLYCRATE_MCP_CHECKPOINT_TO: place };
    await fillLedger(home.path, [{ requested_at: 3_000, display: 'Cyd' }]);
    const server = await connect({ home: home.path, env });
    try {
      await until('the problem', async () => {
        const { data } = await server.call('get_status');
        return data.ledger.checkpoint_timer.problem?.place === place;
      });
      expect((await server.call('search_action_runs')).data.total).toBe(3);
    } finally {
      await server.close();
    }
  });
});
