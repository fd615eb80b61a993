import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.ts';

const FOLDER = new URL('../../manifests/clients/', import.meta.url);

interface Snippet {
  [group: string]: { polycrate: { command: string; args: string[]; env?: Record<string, string> } };
}

describe.each(readdirSync(FOLDER))('the client file %s', (file) => {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');

  it('starts the server with settings that exist', () => {
    const [server] = Object.values(JSON.parse(text) as Snippet).map(({ polycrate }) => polycrate);
    const [program, ...argv] = server!.args;
    expect([server!.command, program]).toEqual(['node', '/path/to/polycrate-mcp/dist/main.js']);
    const { command, warnings } = parseConfig({ argv, env: server!.env ?? {}, cwd: '/', home: '/root' });
    expect({ command, warnings }).toEqual({ command: 'stdio', warnings: [] });
  });

  it('is what the README shows', () => {
    expect(readFileSync(new URL('../../README.md', import.meta.url), 'utf8')).toContain(text);
  });
});
