import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { flagOf, type Setting } from '../../../src/config/settings.ts';
import { readValues, type Variables } from '../../../src/config/values.ts';

const token: Setting<string> = {
  variable: 'POLYCRATE_MCP_TOKEN',
  meaning: 'A secret.',
  form: 'letters',
  fallback: null,
  secret: true,
  schema: () => z.string().regex(/^[a-z]+$/, 'has something else than letters'),
};

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'polycrate-mcp-secret-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function read(env: Variables): { token: unknown } {
  const place = { home: '/root', cwd: '/', delimiter: ':' };
  return readValues({ token }, { flags: { token: 'flag' }, env, envFile: null }, place);
}

describe('a secret setting', () => {
  it('comes from its variable or from a file, never from a flag', () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'fromfile\n');
    expect(flagOf(token)).toBeNull();
    expect(read({})).toEqual({ token: null });
    expect(read({ POLYCRATE_MCP_TOKEN: 'direct' })).toEqual({ token: 'direct' });
    expect(read({ POLYCRATE_MCP_TOKEN_FILE: file })).toEqual({ token: 'fromfile' });
  });

  it('is refused when given twice or when its file is not there', () => {
    const both = { POLYCRATE_MCP_TOKEN: 'a', POLYCRATE_MCP_TOKEN_FILE: '/x' };
    expect(() => read(both)).toThrow('are both set; keep one');
    expect(() => read({ POLYCRATE_MCP_TOKEN_FILE: join(folder, 'gone') })).toThrow('no such file');
  });

  it('is never repeated in a message', () => {
    expect(() => read({ POLYCRATE_MCP_TOKEN: 'hunter2' })).toThrow(
      /^POLYCRATE_MCP_TOKEN has something else than letters\. Valid: letters\.$/,
    );
  });
});
