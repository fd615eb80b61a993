// Bundles src/ into dist/: one entry per process kind, shared code in chunks. Native and heavy packages
// stay external and are imported when first used, so that a cold start loads only the protocol.
import { rm } from 'node:fs/promises';
import { build } from 'esbuild';

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    main: 'src/main.ts',
    'ledger-worker': 'src/adapters/sqlite/worker.ts',
    'age-worker': 'src/adapters/workspace-files/age-worker.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // The same library as ES modules: a lazily imported CommonJS module would arrive without named exports.
  alias: { yaml: './node_modules/yaml/browser/index.js' },
  external: ['age-encryption', 'ajv', 'better-sqlite3', 'dockerode', 'execa', 'kysely', 'pg'],
  // Beside the entries, so that paths relative to a module's own URL hold in every chunk.
  chunkNames: 'chunk-[name]-[hash]',
  // White space is a quarter of what a start has to parse; names stay, so that stack traces can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
