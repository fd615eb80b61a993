import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = new URL('../../src', import.meta.url).pathname;
const CORE = [
  'shared',
  'access',
  'blocks',
  'workspaces',
  'actions',
  'runs',
  'runners',
  'ledger',
  'history',
  'platform',
];

interface Rule {
  /** Folders (or files) of src that may be imported; the own one always may. */
  own: readonly string[];
  /** Packages and `node:` modules; a `*` at the end stands for any rest. */
  packages: readonly string[];
}

const CORE_PACKAGES = ['zod', 'node:crypto', 'node:path/posix'];
const CORE_EXTRAS: Record<string, string[]> = {
  shared: ['fastest-levenshtein'],
  workspaces: ['re2js'],
  history: ['luxon', 'chrono-node', 're2js'],
};
const ADAPTER_VENDORS: Record<string, string[]> = {
  docker: ['dockerode', 'tar-stream'],
  local: ['execa'],
  'workspace-files': ['@balena/dockerignore', 'yaml', 'ajv', 'ajv/dist/2020.js', 'age-encryption'],
  sqlite: ['better-sqlite3'],
  postgres: ['pg'],
  'polycrate-api': ['undici'],
  oidc: ['jose', 'oauth4webapi'],
  // Receivers of messages, by the fetch that it is given.
  webhooks: [],
  // A server that this runner works for, by the same.
  'runner-ledger': [],
  telemetry: ['@opentelemetry/*'],
  // Clock, ids and process table of this machine.
  host: [],
  // The git of this machine, as a process.
  git: [],
  // Two ledgers as one: a journal stands in for a database that is away.
  journal: [],
  // Statements that both databases run; no vendor.
  sql: [],
  'log-files': [],
};
const EVERYTHING = [
  ...CORE,
  'adapters',
  'tools',
  'server',
  'commands',
  'config',
  'config.ts',
  'compose',
  'compose.ts',
  'main.ts',
];

/** Adapters never meet, but what two of them say in the same words is written once. */
const SHARED_BY: Record<string, string[]> = { 'adapters/sql': ['adapters/sqlite', 'adapters/postgres'] };

/** Against the direction, on purpose. `from > to`: the reason. */
const EXCEPTIONS: Record<string, string> = {
  'config > ../package.json': 'the one place where the version is written',
};

function ruleFor(file: string): Rule {
  const [room = '', second = ''] = file.split('/');
  const place = CORE.indexOf(room);
  if (place >= 0) {
    return { own: CORE.slice(0, place), packages: [...CORE_PACKAGES, ...(CORE_EXTRAS[room] ?? [])] };
  }
  if (room === 'adapters') {
    const vendors = ADAPTER_VENDORS[second];
    return { own: CORE, packages: ['zod', 'node:*', ...(vendors ?? [])] };
  }
  if (room === 'tools') return { own: CORE, packages: ['zod'] };
  if (room === 'server') {
    return {
      own: [...CORE, 'tools'],
      packages: ['zod', 'node:*', '@modelcontextprotocol/*', 'prom-client', 'rate-limiter-flexible'],
    };
  }
  if (room === 'config' || room === 'config.ts') {
    return { own: ['shared', 'config'], packages: ['zod', 'node:*', 'fastest-levenshtein'] };
  }
  if (room === 'commands') {
    // The demo is a client of our own server.
    return {
      own: EVERYTHING.filter((name) => name !== 'main.ts'),
      packages: ['zod', 'node:*', '@modelcontextprotocol/client'],
    };
  }
  if (room === 'main.ts')
    return { own: ['shared', 'config.ts', 'compose.ts', 'server', 'commands'], packages: ['node:*'] };
  return { own: EVERYTHING.filter((name) => name !== 'main.ts'), packages: ['zod', 'node:*'] };
}

/** The room a file belongs to: adapters are one room each, so that they never meet. */
function roomOf(file: string): string {
  const parts = file.split('/');
  return parts[0] === 'adapters' && parts.length > 2 ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

const IMPORT =
  /^\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

function importsOf(source: string): string[] {
  return [...source.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** Null: allowed. Otherwise what is wrong and what to do. */
function judge(file: string, specifier: string): string | null {
  const rule = ruleFor(file);
  const room = roomOf(file);
  if (!specifier.startsWith('.')) {
    const fine = rule.packages.some((name) =>
      name.endsWith('*') ? specifier.startsWith(name.slice(0, -1)) : packageOf(specifier) === name,
    );
    return fine
      ? null
      : `${file}: ${room} may not import ${specifier}. Put what needs it behind a port and into the room that owns it; allowed here: ${rule.packages.join(', ')}`;
  }
  const target = posix.join(posix.dirname(file), specifier);
  if (roomOf(target) === room || rule.own.includes(target.split('/')[0] ?? '')) return null;
  if (SHARED_BY[roomOf(target)]?.includes(room)) return null;
  if (`${room} > ${target}` in EXCEPTIONS) return null;
  return `${file}: ${room} may not import ${target}. Move the shared part to a room on the left (${rule.own.join(', ') || 'none'}), or pass it in from compose.ts`;
}

/** `node:fs/promises` stays whole, `yaml/util` is `yaml`, `@scope/name/x` is `@scope/name`. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const FENCES: readonly { words: RegExp; allowed: (file: string) => boolean; advice: string }[] = [
  {
    words:
      /\bprocess\s*\.\s*(env|argv)\b|\bimport\s*\{[^}]*\b(env|argv)\b[^}]*\}\s*from\s*['"](node:)?process['"]/,
    allowed: (file) => file === 'config.ts',
    advice: 'only config.ts reads the environment: add a setting there and take its value from Config',
  },
  {
    words: /\bprocess\s*\.\s*(exit\b|exitCode\b)/,
    allowed: (file) => file === 'main.ts',
    advice: 'only main.ts ends the process: return or throw instead',
  },
  {
    words: /\bconsole\s*\./,
    allowed: () => false,
    advice: 'use the Log port: console may write to stdout, which belongs to the protocol',
  },
  {
    words: /\bprocess\s*\.\s*stdout\b/,
    allowed: (file) => file === 'main.ts' || /^(server|commands)\//.test(file),
    advice: 'stdout belongs to the protocol: only server/, commands/ and main.ts write to it',
  },
];

/** Comments may name what code may not. Good enough for our own style; strings stay. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

function fencesBroken(file: string, source: string): string[] {
  const code = withoutComments(source);
  return FENCES.filter(({ words, allowed }) => words.test(code) && !allowed(file)).map(
    ({ words, advice }) => `${file}: ${words.exec(code)?.[0]} is not allowed here; ${advice}`,
  );
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file: relative(SRC, join(SRC, file)), source: readFileSync(join(SRC, file), 'utf8') }));

describe('the house (design of the source tree: src/README.md)', () => {
  it('reads import lines of every shape', () => {
    const source = [
      "import a from 'one';",
      "import {\n  type B,\n} from './two.ts';",
      "export type { C } from './three.ts';",
      "import 'four';",
      "const d = await import('five');",
      "type E = import('six').E;",
    ].join('\n');
    expect(importsOf(source)).toEqual(['one', './two.ts', './three.ts', 'four', 'five', 'six']);
  });

  it('knows what is forbidden', () => {
    expect(judge('blocks/block.ts', '../runs/executor.ts')).toContain(
      'blocks may not import runs/executor.ts',
    );
    expect(judge('blocks/block.ts', 'node:fs')).toContain('blocks may not import node:fs');
    expect(judge('adapters/docker/executor.ts', '../sqlite/ledger.ts')).toContain('may not import');
    expect(judge('adapters/docker/executor.ts', '../sql/search.ts')).toContain('may not import');
    expect(judge('adapters/sql/search.ts', '../sqlite/search.ts')).toContain('may not import');
    expect(judge('adapters/sqlite/search.ts', '../sql/search.ts')).toBeNull();
    expect(judge('adapters/docker/executor.ts', 'better-sqlite3')).toContain('may not import');
    expect(judge('tools/get-status.ts', '../adapters/docker/executor.ts')).toContain('may not import');
    expect(judge('adapters/docker/executor.ts', '../../config.ts')).toContain('may not import');
    expect(judge('adapters/docker/executor.ts', 'dockerode')).toBeNull();
    expect(judge('runs/start.ts', '../actions/plan.ts')).toBeNull();
    expect(judge('actions/plan.ts', '../runs/executor.ts')).toMatch(/may not import/);
    expect(fencesBroken('runs/start.ts', 'const home = process.env.HOME; // x')).toHaveLength(1);
    expect(fencesBroken('runs/start.ts', '// process.env is read in config.ts')).toEqual([]);
  });

  it('is built from the rooms it names', () => {
    const strangers = FILES.map(({ file }) => file).filter((file) => {
      const [room = '', second = ''] = file.split('/');
      return (
        !EVERYTHING.includes(room) ||
        (room === 'adapters' && dirname(file) !== 'adapters' && !(second in ADAPTER_VENDORS))
      );
    });
    expect(strangers, 'name a new room in test/guards/imports.test.ts and in src/README.md').toEqual([]);
  });

  it('imports in one direction, and every vendor in one place', () => {
    const problems = FILES.flatMap(({ file, source }) =>
      importsOf(withoutComments(source)).map((specifier) => judge(file, specifier)),
    );
    expect(problems.filter((problem) => problem !== null)).toEqual([]);
  });

  it('leaves environment, exit, console and stdout to their owners', () => {
    expect(FILES.flatMap(({ file, source }) => fencesBroken(file, source))).toEqual([]);
  });
});
