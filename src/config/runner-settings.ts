import * as read from './parsers.ts';
import { setting, type Table } from './setting.ts';

/** What only `runner` reads, and what it starts. */
export const RUNNER_SETTINGS = {
  server: setting({
    variable: 'POLYCRATE_MCP_SERVER',
    meaning: 'The team server that `runner` works for.',
    form: '`https://HOST` with a port, if it has one',
    fallback: null,
    schema: () => read.webAddress,
  }),
  runnerKey: setting({
    variable: 'POLYCRATE_MCP_RUNNER_KEY',
    meaning: 'Key of the role `machine` by which that server knows the runner.',
    form: 'the key',
    fallback: null,
    secret: true,
    schema: () => read.text,
  }),
  runnerName: setting({
    variable: 'POLYCRATE_MCP_RUNNER_NAME',
    meaning: 'The name of the runner in records and answers; no two runners of a server have the same.',
    form: 'letters, digits, `.`, `_` and `-`',
    fallback: null,
    unset: "the host's name",
    schema: () => read.runnerName,
  }),
  labels: setting({
    variable: 'POLYCRATE_MCP_LABELS',
    meaning: 'What the runner can be chosen by besides its name.',
    form: '`name=value` separated by commas',
    fallback: '',
    unset: 'none',
    schema: () => read.labels,
  }),
} as const satisfies Table;
