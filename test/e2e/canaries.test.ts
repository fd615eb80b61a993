import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesBelow, rowsBelow, stringsOf, tracesOf } from '../support/canaries.ts';
import { KEYS, LOGGED, of, PLACES, plantVault, SETTINGS, spilled, type Vault } from '../support/canary-vault.ts'; // prettier-ignore
import { describeWithEngine } from '../support/engine.ts';
import { MAIN, tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { modernMeta, startRaw, type Raw } from '../support/raw.ts';

// One unique value in every place where a secret can live; an action prints them all, every tool, resource and prompt
// is asked for all it knows, and whatever leaves the server or is stored is searched for each of them.

/** How every such key begins, that of the ledger too. */
const ED25519 = /^MC4CAQAwBQYDK2VwBCIEI/;

let root: Awaited<ReturnType<typeof tempFolder>>;
let docker: Awaited<ReturnType<typeof tempFolder>>;
let vault: Vault;

beforeAll(async () => {
  [root, docker] = await Promise.all([tempFolder('canaries'), tempFolder('docker-config')]);
  vault = await plantVault(root.path, docker.path);
});
afterAll(() => Promise.all([root.remove(), docker.remove()]));

interface Asked {
  log: string[];
  end: string;
  /** Output of an imported run. */
  imported: string[];
  offered: string[];
  /** What answered at least once with more than an error. */
  answered: Set<string>;
}

interface Outside extends Asked {
  /** Where → all text that is found there. */
  texts: Record<string, string>;
}

interface Scene {
  executor: 'local' | 'docker';
  /** Settings that name the database, and all it holds as text. */
  database: Record<string, string>;
  stored?(): Promise<string[]>;
}

async function useEverything({ executor, database, stored }: Scene): Promise<Outside> {
  const home = await tempFolder('canary-home');
  const env = {
    POLYCRATE_MCP_WORKSPACES: root.path,
    POLYCRATE_MCP_EXECUTOR: executor,
    POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
    POLYCRATE_MCP_RUN_MODE: 'trusted',
    POLYCRATE_MCP_LOG_LEVEL: 'debug',
    WORKSPACE_ENCRYPTION_KEY: vault.identity,
    DOCKER_CONFIG: docker.path,
    ...database,
  };
  const command = async (...args: string[]): Promise<string> => {
    const options = { env: { PATH: process.env['PATH'], HOME: home.path, POLYCRATE_MCP_HOME: home.path, ...env } };
    // Some end with a code that says what they found.
    const told = await promisify(execFile)(process.execPath, [MAIN, ...args], options).catch((error: unknown) => error as { stdout: string; stderr: string });
    return told.stdout + told.stderr;
  }; // prettier-ignore
  // By the command here, and by the server that is asked for history there.
  const told = executor === 'docker' ? [await command('history', 'import')] : [];
  const server = startRaw({ home: home.path, capabilities: { elicitation: {} }, env });
  // What a human would be asked.
  const asking = startRaw({ home: home.path, capabilities: { elicitation: {} }, env: { ...env, POLYCRATE_MCP_RUN_MODE: 'ask' } }); // prettier-ignore
  let asked: Asked;
  try {
    asked = await askAll(server);
    // What is no message is told on stderr, in words that quote its members.
    server.send(JSON.stringify({ jsonrpc: '2.0', method: 5, [of('config')]: of('secret YAML') }));
    await server.request('ping');
    const question = await asking.call('run_action', { ...TARGET, action: 'asks' });
    expect(JSON.stringify(question.result)).toMatch(/Is it .*\[secret\]/);
  } finally {
    await Promise.all([server.end(), asking.end()]);
  }
  const bundle = await tempFolder('canary-bundle');
  const out = join(bundle.path, 'out');
  const commands = [['ledger', 'export', '--out', out, '--logs', '--json'], ['ledger', 'verify', '--json'], ['history', 'import'], ['doctor']]; // prettier-ignore
  told.push(...(await Promise.all(commands.map((args) => command(...args)))));
  const files = [...(await bytesBelow(home.path)), ...(await bytesBelow(bundle.path))];
  const lines = [...server.lines, ...asking.lines];
  const texts = {
    stdout: [...lines, ...new Set(lines.flatMap((line) => stringsOf(JSON.parse(line))))].join('\n'),
    stderr: server.stderr() + asking.stderr(),
    files: files.map(([name, bytes]) => `${name}\n${bytes}`).join('\n'),
    ...(stored && { database: (await stored()).join('\n') }),
    commands: told.join('\n'),
  };
  await Promise.all([home.remove(), bundle.remove()]);
  return { ...asked, texts };
}

const TARGET = { workspace: 'tests/vault', block: 'keeper' };

async function askAll(server: Raw): Promise<Asked> {
  const answered = new Set<string>();
  const use = async (name: string, args: Record<string, unknown>): Promise<any> => {
    const { result } = await server.call(name, args, { _meta: { ...modernMeta(), progressToken: 9 } });
    if (result && result.isError !== true) answered.add(name);
    return result?.structuredContent;
  };
  const reason = `see ${of('config')} and ${Buffer.from(of('secret file')).toString('base64')}`;
  const spilt = await use('run_action', { ...TARGET, action: 'spill', reason, wait_seconds: 50 });
  const run_id = spilt.run.id as string;
  const log = async (id: string, more: Record<string, unknown>): Promise<string[]> => {
    const { lines } = await use('read_action_run_log', { run_id: id, ...more });
    return lines.map(({ text }: { text: string }) => text);
  };
  const [all, end] = [await log(run_id, { mode: 'head', lines: 1000 }), await log(run_id, { lines: 20 })];
  const { tools } = (await server.request('tools/list')).result as { tools: any[] };
  // Every tool with whatever of this it takes: those that are added later, too.
  const pool: Record<string, unknown> = { ...TARGET, workflow: 'release', run_id, reason, text: 'keeper', pattern: 'it is', wait_seconds: 20, at: new Date().toISOString() }; // prettier-ignore
  const instead: Record<string, Record<string, unknown>> = {
    run_action: { block: 'slow', action: 'linger', wait_seconds: 0 },
    plan_action: { block: undefined },
  };
  for (const { name, inputSchema } of tools) {
    const known = Object.keys(inputSchema.properties ?? {}).filter((key) => key in pool);
    const args = Object.fromEntries(known.map((key) => [key, pool[key]]));
    await use(name, { ...args, ...instead[name] });
    if (known.length > 0) await use(name, {});
    if (known.includes('block')) await use(name, { ...args, block: of('config'), action: of('secret YAML') });
  }
  for (const block of ['keeper', 'ini']) await use('get_block', { ...TARGET, block });
  for (const action of ['spill', 'play', 'asks']) await use('plan_action', { ...TARGET, action });
  await use('plan_action', { ...TARGET, block: 'ini', action: 'hello' });
  const { runs } = await use('search_action_runs', { workspace: 'vault' });
  for (const { id } of runs) await use('cancel_action_run', { run_id: id, reason });
  await log(run_id, { mode: 'grep', pattern: 'it is', lines: 1000 });
  const imported = await log('nested-1', { mode: 'head', lines: 1000 });
  await use('get_action_run', { run_id: 'nested-1', compare_to: run_id });
  await readResources(
    server,
    { organization: 'tests', workspace: 'vault', block: 'keeper', run_id },
    answered,
  );
  await readPrompts(server, answered);
  const { prompts } = (await server.request('prompts/list')).result;
  const { resourceTemplates } = (await server.request('resources/templates/list')).result;
  return {
    offered: [...tools, ...prompts, ...resourceTemplates].map(({ name }) => name as string),
    answered, log: all, end: end.join('\n'), imported,
  }; // prettier-ignore
}

/** Each of the templates, and each once for what does not exist. */
async function readResources(
  server: Raw,
  known: Record<string, string>,
  answered: Set<string>,
): Promise<void> {
  const { resourceTemplates } = (await server.request('resources/templates/list')).result;
  for (const { name, uriTemplate } of resourceTemplates) {
    const filled = (values: Record<string, string>): string =>
      (uriTemplate as string).replace(/\{(\w+)\}/g, (_all, key: string) => encodeURIComponent(values[key]!));
    const { result } = await server.request('resources/read', { uri: filled(known) });
    if (result?.contents?.[0]?.text) answered.add(name);
    await server.request('resources/read', {
      uri: filled({ ...known, block: of('config'), run_id: of('config') }),
    });
    for (const key of Object.keys(known).filter((one) => (uriTemplate as string).includes(`{${one}}`)))
      await server.request('completion/complete', { ref: { type: 'ref/resource', uri: uriTemplate }, argument: { name: key, value: '' } }); // prettier-ignore
  }
}

async function readPrompts(server: Raw, answered: Set<string>): Promise<void> {
  const { prompts } = (await server.request('prompts/list')).result;
  for (const { name, arguments: taken } of prompts) {
    const given = Object.fromEntries(
      taken.map((one: { name: string }) => [one.name, `about ${of('config')}`]),
    );
    const { result } = await server.request('prompts/get', { name, arguments: given });
    if (result?.messages) answered.add(name);
  }
}

function holds(scene: () => Promise<Scene & { end(): Promise<void> }>): void {
  let outside: Outside;
  beforeAll(async () => {
    const at = await scene();
    outside = await useEverything(at).finally(() => at.end());
  }, 180_000);

  const leaksOf = (secret: string): { where: string; traces: string[] }[] =>
    Object.entries(outside.texts)
      .map(([where, text]) => ({ where, traces: tracesOf(secret, text) }))
      .filter(({ traces }) => traces.length > 0);

  it('was printed by the action and by an imported one, in every form, and everything was called', () => {
    expect(outside.end).toContain('the end');
    const masked = (lines: string[]) => lines.filter((line) => /it is: .*\[secret\].* and on/.test(line)).length;
    expect(masked(outside.log)).toBeGreaterThan(200);
    expect(masked(outside.imported)).toBeGreaterThan(200);
    expect([...outside.answered].sort()).toEqual([...outside.offered].sort());
    expect(outside.offered).toHaveLength(17 + 4 + 4);
    expect(outside.texts['commands']).toContain('"runs"');
    expect(outside.texts['stdout']).toContain('notifications/progress');
    expect(outside.texts['stderr']).toMatch(/Unrecognized key.*\[secret\]/);
    const empty = Object.entries(outside.texts).filter(([, text]) => text.length < 500);
    expect(empty).toEqual([]);
  });

  it('is found nowhere', () => {
    const secrets = [...PLACES.map((place, n) => [place, spilled()[n]!] as const), ...Object.entries({ ...SETTINGS, ...LOGGED })];
    const found = secrets.map(([place, secret]) => ({ place, leaks: leaksOf(secret) }));
    expect(found.filter(({ leaks }) => leaks.length > 0)).toEqual([]);
  });

  it.each(Object.entries(KEYS))('nor is the %s', (_place, secret) => {
    for (const line of secret.split('\n').filter((one) => one.length > 12 && !one.startsWith('-----')))
      expect(leaksOf(line.replace(ED25519, ''))).toEqual([]);
  });

  it('nor is the key that opens encrypted files', () => {
    expect(leaksOf(vault.identity)).toEqual([]);
  });
} // prettier-ignore

describe('a value in every place where a secret can live, with scripts on this host and a ledger in SQLite', () => {
  holds(async () => ({
    executor: 'local',
    database: {},
    end: async () => undefined,
  }));
});

describeWithEngine('a value in every place where a secret can live, in containers', () => {
  describeWithPostgres('and a ledger in PostgreSQL', () => {
    let postgres: PostgresServer;
    beforeAll(async () => void (postgres = await usePostgres()));
    afterAll(() => postgres.stop());
    holds(async () => {
      const place = await postgres.place();
      return {
        executor: 'docker',
        database: { POLYCRATE_MCP_DATABASE_URL: place.url },
        stored: () => rowsBelow(postgres.query, place.schema),
        end: () => place.remove(),
      };
    });
  });
});
