import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSqlite } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { fill } from './golden.ts';
import { tellHistory, ZONE } from './history.ts';
import { createOracle } from './oracle.ts';

const README = new URL('../../README.md', import.meta.url);
const [BEGIN, END] = ['<!-- transcript: npm run transcript -->', '<!-- /transcript -->'];
const ADVICE = 'the README tells other answers than the server gives; update it with: npm run transcript';
/** A Tuesday: the story is always told from the same day, so that the transcript stays the same. */
const NOW = Date.parse('2026-11-24T10:00:00Z');

interface Exchange {
  question: string;
  tool: string;
  args: Record<string, unknown>;
  /** What of the answer the page has room for. */
  shown: (answer: any) => unknown;
}

const pick = (row: any, ...names: string[]): unknown =>
  Object.fromEntries(names.map((name) => [name, row[name]]));

const EXCHANGES: readonly Exchange[] = [
  {
    question: 'Who restarted the production database on Friday evening?',
    tool: 'search_action_runs',
    args: { block: 'postgres', action: 'restart', environment: 'production', during: 'friday evening' },
    shown: ({ runs, total, interval, excluded }) => ({
      runs: runs.map((row: any) => pick(row, 'started_at', 'status', 'workspace', 'user', 'host')),
      total,
      interval: interval.local,
      excluded,
    }),
  },
  {
    question: 'When did 1.4.3 reach production?',
    tool: 'trace_versions',
    args: { block: 'webapp', block_version: '1.4.3', environment: 'production' },
    shown: ({ timeline, total }) => ({
      timeline: timeline.map(({ workspace, version, first, replaced, failed_before, returns }: any) => ({
        workspace, version, first: pick(first, 'at', 'user'), replaced, failed_before,
        returns: returns.map((one: any) => pick(one, 'at', 'replaced')),
      })),
      total,
    }),
  },
  {
    question: 'How many deployments of the web application were there last month, and how did they end?',
    tool: 'summarize_action_runs',
    args: { block: 'webapp', action: 'install', during: 'last month', group_by: ['environment'] },
    shown: ({ groups, total_runs, interval }) => ({
      groups: groups.map((row: any) => pick(row, 'key', 'runs', 'success', 'failed')),
      total_runs,
      interval: interval.local,
    }),
  },
  {
    question: 'What changed before the incident on Sunday at 21:17?',
    tool: 'find_changes',
    args: { at: 'sunday 21:17', before: '1h', workspace: 'acme/shop', host: 'bastion-1' },
    shown: ({ changes, total, in_scope, at }) => ({
      changes: changes.slice(0, 2).map(({ changed, ...row }: any) => ({
        ...(pick(row, 'distance', 'status', 'workspace', 'block', 'action', 'user', 'same') as object),
        ...(changed && { changed: pick(changed, 'block_version') }),
      })),
      total,
      in_scope,
      at: at.local,
    }),
  },
]; // prettier-ignore

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
beforeAll(async () => {
  home = await tempFolder('transcript');
  const history = tellHistory({ seed: 42, now: NOW });
  await fill(openSqlite(home.path), { history, now: NOW, oracle: createOracle(history) });
  const clock = new URL('../support/at-time.mjs', import.meta.url).href;
  const env = {
    NODE_OPTIONS: `--import ${clock}`,
    TEST_NOW: String(NOW),
    POLYCRATE_MCP_TIMEZONE: ZONE,
  };
  server = await connect({ home: home.path, env });
}, 120_000);
afterAll(async () => {
  await server?.close();
  await home?.remove();
});

it('the README has the transcript of the four questions of the mission', async () => {
  const parts: string[] = [];
  for (const { question, tool, args, shown } of EXCHANGES) {
    const { data, error } = await server.call(tool, args);
    expect(error).toBeNull();
    const call = `${tool}(${JSON.stringify(args)})`;
    parts.push(`**${question}**`, `\`\`\`text\n${call}\n${lines(shown(data))}\n\`\`\``);
  }
  const text = readFileSync(README, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  expect(begin, `README.md needs the line ${BEGIN}`).toBeGreaterThan(-1);
  expect(end, `README.md needs the line ${END} after it`).toBeGreaterThan(begin);
  const right = `${text.slice(0, begin)}${BEGIN}\n\n${parts.join('\n\n')}\n\n${text.slice(end)}`;
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(README, right);
  expect(readFileSync(README, 'utf8'), ADVICE).toBe(right);
});

/** One line for each member, and for each member of a list. */
function lines(answer: unknown): string {
  return Object.entries(answer as object)
    .flatMap(([name, value]) =>
      Array.isArray(value)
        ? [`${name}:`, ...value.map((one) => `  ${JSON.stringify(one)}`)]
        : [`${name}: ${JSON.stringify(value)}`],
    )
    .join('\n');
}
