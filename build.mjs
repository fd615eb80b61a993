// Bundles src/ into dist/: the program with its shared code in chunks, and one file for each kind of thread. Native
// and CommonJS packages stay external and are imported when first used, so that a cold start loads only the protocol.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { parse, stringify } from 'yaml';

/** What its libraries need for engines over SSH and for BuildKit, neither of which is used: two megabytes to read at each start. */
const unused = {
  name: 'unused',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader)$/ }, ({ path }) => ({
      path,
      namespace: 'unused',
    }));
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: '' }));
  },
};

/** Messages in some forty languages, of which nobody asks for one: half of what the library has to be read for. */
const locales = {
  name: 'locales',
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

const common = {
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // The same library as ES modules: a lazily imported CommonJS module would arrive without named exports.
  alias: { yaml: './node_modules/yaml/browser/index.js' },
  external: [
    '@balena/dockerignore',
    '@opentelemetry/*',
    'ajv',
    'better-sqlite3',
    'pg',
    'prom-client',
    'rate-limiter-flexible',
    'tar-stream',
    'undici',
  ],
  // White space is a quarter of what a start has to parse; names stay, so that stack traces can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  plugins: [unused, locales],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
};

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { main: 'src/main.ts' },
  splitting: true,
  // Beside the entries, so that paths relative to a module's own URL hold in every chunk.
  chunkNames: 'chunk-[name]-[hash]',
});
// A thread reads one file with nothing in it but its own part.
await build({
  ...common,
  entryPoints: {
    'ledger-worker': 'src/adapters/sqlite/worker.ts',
    'age-worker': 'src/adapters/workspace-files/age-worker.ts',
    'scan-worker': 'src/adapters/workspace-files/scan-worker.ts',
    'cli-log-worker': 'src/adapters/workspace-files/cli-log-worker.ts',
  },
});
// The document of the API that `serve` answers, without what only the vendor's own does.
const document = parse(await readFile('src/server/platform-api/openapi.yaml', 'utf8'));
for (const [path, operations] of Object.entries(document.paths)) {
  const served = Object.entries(operations).filter(([, operation]) => !operation['x-not-served']);
  if (served.length === 0) delete document.paths[path];
  else document.paths[path] = Object.fromEntries(served);
}
await writeFile('dist/openapi.json', JSON.stringify(document));
await writeFile('dist/openapi.yaml', stringify(document));
