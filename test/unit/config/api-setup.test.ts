import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readApiSetup, type ApiSettings } from '../../../src/adapters/workspace-files/api-files.ts';
import { parseConfig } from '../../../src/config.ts';
import { endpointOf, submissionTarget, type ApiSetup } from '../../../src/platform/endpoints.ts';
import { isPlainElsewhere, readInstanceUrl } from '../../../src/shared/instance-url.ts';
import { tempFolder } from '../../support/mcp.ts';

const KEY = 'key-that-nobody-may-see';

describe('what an operator says about the Polycrate API', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  beforeEach(async () => {
    home = await tempFolder('api-setup');
  });
  afterEach(() => home.remove());

  const file = async (name: string, text: string, mode = 0o600): Promise<string> => {
    await writeFile(join(home.path, name), text);
    await chmod(join(home.path, name), mode);
    return join(home.path, name);
  };
  const read = async (settings: Partial<ApiSettings> = {}): Promise<ApiSetup> => {
    const setup = await readApiSetup({
      enabled: null, url: null, key: null, submit: null, onRemoteConflict: 'warn', endpointsFile: null,
      cliFile: join(home.path, 'polycrate.yml'), ...settings,
    }); // prettier-ignore
    expect(JSON.stringify([setup.problems, setup.warnings])).not.toContain(KEY);
    return setup;
  };

  it('nothing at all is no problem', async () => {
    expect(await read()).toEqual({ endpoints: [], problems: [], warnings: [], read: [] });
  });

  it('is taken from the CLI, flags and variables first', async () => {
    await file('polycrate.yml', `api:\n  enabled: true\n  url: https://a.example.com/\n  api_key: ${KEY}\n`);
    const [endpoint] = (await read()).endpoints;
    expect(endpoint).toEqual({
      name: 'default', url: 'https://a.example.com', key: KEY, submit: true, workspaces: null, on_remote_conflict: 'warn',
    }); // prettier-ignore
    const over = await read({ url: 'https://b.example.com', submit: false, key: 'other' });
    expect(over.endpoints).toMatchObject([{ url: 'https://b.example.com', submit: false, key: 'other' }]);
    expect((await read({ enabled: false })).endpoints).toEqual([]);
  });

  it('warns of a key that others may read, and of one that travels readable', async () => {
    const path = await file(
      'polycrate.yml',
      `api: { enabled: true, url: "http://api.corp", api_key: ${KEY} }`,
      0o644,
    );
    const { warnings, endpoints } = await read();
    expect(endpoints).toHaveLength(1);
    expect(warnings).toEqual([
      expect.stringContaining(`chmod 600 ${path}`),
      expect.stringContaining('plain http'),
    ]);
    expect((await read({ key: 'from-the-environment' })).warnings).toHaveLength(1);
  });

  it.each([
    ['api: { enabled: true, api_key: k }', 'POLYCRATE_API_URL is not set'],
    ['api: { enabled: true, url: "https://a" }', 'POLYCRATE_API_API_KEY is not set'],
    [`api: { enabled: true, url: "https://u:${KEY}@a", api_key: k }`, 'belongs in api_key'],
    [`api: { enabled: true, url: "https://a/?token=${KEY}", api_key: k }`, 'belongs in api_key'],
    ['api: { enabled: true, url: "a.example.com", api_key: k }', 'https://'],
    [`api: { enabled: true, url: "https://a", api_key: "Bearer ${KEY}" }`, 'has a space'],
    ['api: { enabled: "sometimes" }', 'api.enabled is of the wrong type'],
    [`api: { api_key: ${KEY}, "`, 'cannot be read'],
  ])('%s', async (text, problem) => {
    await file('polycrate.yml', text);
    const { endpoints, problems } = await read();
    expect(endpoints).toEqual([]);
    expect(problems.join('\n')).toContain(problem);
  });

  it('knows several endpoints, each for its workspaces', async () => {
    await file('key', `${KEY}\n`);
    const endpointsFile = await file(
      'endpoints.yml',
      'endpoints:\n  acme: { url: "https://acme.example.com", api_key_file: key, workspaces: [acme/*], on_remote_conflict: refuse }\n' +
        '  quiet: { url: "https://q.example.com", api_key: q, workspaces: [q/one], submit_action_runs: false }\n',
    );
    const setup = await read({ endpointsFile, enabled: true, url: 'https://rest.example.com', key: 'rest' });
    expect(setup.problems).toEqual([]);
    const at = (organization: string | null, workspace: string) =>
      endpointOf(setup, { organization, workspace })?.name;
    expect([at('acme', 'shop'), at('q', 'one'), at('q', 'two'), at(null, 'x')]).toEqual([
      'acme',
      'quiet',
      'default',
      'default',
    ]);
    const target = (organization: string | null, workspace: string, choice: 'all' | 'none' | string[]) =>
      submissionTarget(setup, { organization, workspace }, choice)?.name ?? null;
    expect(target('acme', 'shop', 'all')).toBe('acme');
    expect(target('acme', 'shop', 'none')).toBeNull();
    expect(target('acme', 'shop', ['acme/other'])).toBeNull();
    expect(target('acme', 'shop', ['acme/*'])).toBe('acme');
    expect(target('q', 'one', 'all')).toBeNull();
    expect(target(null, 'x', 'all')).toBeNull();
    expect(setup.endpoints.find(({ name }) => name === 'acme')).toMatchObject({
      key: KEY,
      on_remote_conflict: 'refuse',
    });
  });

  it.each([
    ['endpoints: { Bad Name: { url: "https://a" } }', 'Valid: endpoints'],
    [`endpoints: { a: { url: "https://a", apikey: ${KEY} } }`, 'Valid: endpoints'],
    ['endpoints: { default: { url: "https://a", api_key: k } }', 'stands for POLYCRATE_API_URL'],
    ['endpoints: { a: { url: "https://a", api_key_file: missing } }', 'cannot be read'],
  ])('says what is wrong with %s', async (text, problem) => {
    const endpointsFile = await file('endpoints.yml', text);
    const { endpoints, problems } = await read({ endpointsFile });
    expect(endpoints).toEqual([]);
    expect(problems.join('\n')).toContain(problem);
  });

  it('reads the root of an instance however it was copied', () => {
    for (const text of ['https://a.b/', 'https://a.b', 'https://a.b/api/v1/', 'https://a.b/api/docs'])
      expect(readInstanceUrl(text)).toEqual({ url: 'https://a.b' });
    expect(readInstanceUrl('https://a.b/poly/api/v1')).toEqual({ url: 'https://a.b/poly' });
    expect(
      ['http://127.0.0.1:1', 'http://localhost', 'http://[::1]:8', 'https://x'].map(isPlainElsewhere),
    ).toEqual([false, false, false, false]);
    expect(isPlainElsewhere('http://127.0.0.1.evil.example')).toBe(true);
  });

  it('knows the settings, their proxies, and the name that everybody gets wrong', () => {
    const around = (env: Record<string, string>) => parseConfig({ argv: [], env, cwd: '/', home: '/home/x' });
    const { config, warnings } = around({
      POLYCRATE_API_KEY: KEY, POLYCRATE_API_API_KEY: 'k', POLYCRATE_API_URL: 'https://a/', POLYCRATE_API_ENABLED: 'true',
      POLYCRATE_API_VALIDATE_WORKSPACE_ON_LOAD: 'true', POLYCRATE_MCP_SUBMIT: 'acme/*, q/one', HTTPS_PROXY: 'http://p', no_proxy: 'a,b',
    }); // prettier-ignore
    expect(config).toMatchObject({
      apiKey: 'k',
      apiUrl: 'https://a',
      apiEnabled: true,
      submit: ['acme/*', 'q/one'],
    });
    expect(config.proxies).toEqual({ http: null, https: 'http://p', none: 'a,b' });
    expect(warnings).toEqual([
      expect.stringMatching(/^POLYCRATE_API_KEY is not .*Did you mean POLYCRATE_API_API_KEY\?$/),
    ]);
    expect(() => around({ POLYCRATE_MCP_SUBMIT: 'shop' })).toThrow('organization/workspace');
    expect(() => around({ POLYCRATE_API_URL: 'ftp://x' })).toThrow('https://');
  });
});
