import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { INSTRUCTIONS } from '../../src/server/instructions.ts';
import { tools } from '../../src/tools/index.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { connect, ERAS, tempFolder, type Connection } from '../support/mcp.ts';

const SNAPSHOTS = new URL('./__snapshots__/', import.meta.url);
const SOURCES = new URL('../../src/tools/', import.meta.url);
const ADVICE =
  'a change that clients see; if it is meant: UPDATE_SURFACE=1 npx vitest run test/tools/surface.test.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
let listed: any[];

beforeAll(async () => {
  home = await tempFolder('home');
  server = await connect({ home: home.path });
  listed = (await server.client.listTools()).tools;
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

describe.each(tools)('$name', (tool) => {
  const advertised = (): any => listed.find(({ name }) => name === tool.name);

  it('is defined as the committed snapshot says', () => {
    const file = new URL(`${tool.name}.json`, SNAPSHOTS);
    const { name, title, description, annotations, inputSchema, outputSchema, ...more } = advertised();
    expect(more).toEqual({});
    const text = `${JSON.stringify({ name, title, description, annotations, inputSchema, outputSchema }, null, 2)}\n`;
    if (process.env['UPDATE_SURFACE'] === '1') {
      mkdirSync(SNAPSHOTS, { recursive: true });
      writeFileSync(file, text);
    }
    expect(existsSync(file) ? readFileSync(file, 'utf8') : '', ADVICE).toBe(text);
  });

  it('has hints that follow from its effect', () => {
    expect(advertised().annotations).toEqual({
      readOnlyHint: tool.effect === 'reads',
      destructiveHint: tool.effect === 'destroys',
      idempotentHint: tool.idempotent,
      openWorldHint: tool.openWorld,
    });
  });

  it('has plain objects as schemas, without unions at the top', () => {
    const { inputSchema, outputSchema } = advertised();
    for (const schema of [inputSchema, outputSchema]) {
      expect(schema.type).toBe('object');
      for (const word of ['anyOf', 'oneOf', 'allOf', '$ref', 'not']) expect(schema).not.toHaveProperty(word);
    }
    expect(JSON.stringify([inputSchema, outputSchema])).not.toMatch(/"type":\[|"\$schema"|prefixItems/);
  });

  it('says in one to four sentences what it does', () => {
    expect(tool.description).toMatch(/^[A-Z].*\.$/);
    expect(tool.description.length).toBeLessThanOrEqual(400);
    expect(tool.description.split(/[.;:] /).length).toBeLessThanOrEqual(8);
    expect(tool.title.length).toBeLessThanOrEqual(40);
  });

  it('is named verb_noun, like its file', () => {
    expect(tool.name).toMatch(
      /^(get|list|plan|run|retrigger|wait|cancel|search|read|summarize|trace|find)(_[a-z]+)+$/,
    );
    expect(tool.name.length).toBeLessThanOrEqual(40);
    expect(tool.name).not.toMatch(/^(hub_|cli_|docs_)/);
    expect(existsSync(new URL(`${tool.name.replaceAll('_', '-')}.ts`, SOURCES))).toBe(true);
  });
});

it('the list has the documented order, and every file that defines a tool is on it', () => {
  const names = [
    'get_status', 'list_workspaces', 'list_blocks', 'get_block', 'plan_action', 'run_action',
    'run_workflow', 'retrigger_action_run', 'wait_for_action_run', 'cancel_action_run', 'search_action_runs',
    'get_action_run', 'read_action_run_log', 'summarize_action_runs', 'trace_versions', 'find_changes', 'search_trail',
  ]; // prettier-ignore
  expect(listed.map(({ name }) => name)).toEqual(names);
  const defining = readdirSync(SOURCES).filter((file) =>
    readFileSync(new URL(file, SOURCES), 'utf8').includes('= defineTool('),
  );
  expect(defining.sort()).toEqual(names.map((name) => `${name.replaceAll('_', '-')}.ts`).sort());
});

it('snapshots are of tools that exist', () => {
  const names = tools.map(({ name }) => `${name}.json`);
  expect(readdirSync(SNAPSHOTS).filter((file) => !names.includes(file))).toEqual([]);
});

it('the first tool only reads and answers without arguments', async () => {
  const [first] = listed;
  expect(first.annotations.readOnlyHint).toBe(true);
  expect(first.inputSchema.required ?? []).toEqual([]);
  expect((await server.call(first.name)).isError).toBe(false);
});

it('the whole list costs less than 6,000 tokens', () => {
  expect(JSON.stringify({ tools: listed }).length / 4).toBeLessThan(6_000);
});

it('the instructions are short enough for every client, and name tools that exist', () => {
  expect(INSTRUCTIONS.length).toBeLessThanOrEqual(2_048);
  expect(server.client.getInstructions()).toBe(INSTRUCTIONS);
  const mentioned = INSTRUCTIONS.match(/\b[a-z]+(?:_[a-z]+)+\b/g) ?? [];
  const parameters = tools.flatMap((tool: Tool) => Object.keys(tool.input.shape));
  const known = [...tools.map(({ name }) => name), ...parameters];
  expect(mentioned.filter((word) => !known.includes(word))).toEqual([]);
  expect(mentioned.length).toBeGreaterThan(5);
});

it.each(ERAS)('the list is the same in the %s era', async (era) => {
  const other = await connect({ home: home.path, era });
  try {
    const definitions = (all: any[]): any[] =>
      all.map(({ name, title, description, inputSchema, outputSchema, annotations }) => ({
        name, title, description, inputSchema, outputSchema, annotations,
      })); // prettier-ignore
    expect(definitions((await other.client.listTools()).tools)).toEqual(definitions(listed));
  } finally {
    await other.close();
  }
});

it('in read-only mode only tools that read are there', async () => {
  const reader = await connect({ home: home.path, env: { POLYCRATE_MCP_RUN_MODE: 'read-only' } });
  try {
    const { tools: few } = await reader.client.listTools();
    const reading = tools.filter(({ effect }) => effect === 'reads').map(({ name }) => name);
    expect(few.map(({ name }) => name)).toEqual(reading);
    expect(reading).not.toContain('run_action');
    await expect(reader.call('run_action', {})).rejects.toThrow(/not found/);
  } finally {
    await reader.close();
  }
});
