import * as read from './parsers.ts';
import { setting, type Table } from './setting.ts';

/** The Polycrate API: the CLI's own settings, and ours about it. */
export const API_SETTINGS = {
  apiEnabled: setting({
    variable: 'POLYCRATE_API_ENABLED',
    meaning: 'Whether the Polycrate API is used, as for the CLI.',
    form: '`true` or `false`',
    fallback: null,
    unset: '`api.enabled` in `~/.polycrate/polycrate.yml`',
    schema: () => read.yesOrNo,
  }),
  apiUrl: setting({
    variable: 'POLYCRATE_API_URL',
    meaning: 'Where the Polycrate API is, as for the CLI.',
    form: 'the root of the instance, such as `https://polycrate.example.com`',
    fallback: null,
    unset: '`api.url` in `~/.polycrate/polycrate.yml`',
    schema: () => read.instanceUrl,
  }),
  apiKey: setting({
    variable: 'POLYCRATE_API_API_KEY',
    meaning: 'Key of the Polycrate API, as for the CLI; reporting runs needs one that may write.',
    form: 'the key',
    fallback: null,
    unset: '`api.api_key` in `~/.polycrate/polycrate.yml`',
    secret: true,
    schema: () => read.text,
  }),
  apiSubmit: setting({
    variable: 'POLYCRATE_API_SUBMIT_ACTION_RUNS',
    meaning: 'Whether runs are reported to the Polycrate API, as for the CLI.',
    form: '`true` or `false`',
    fallback: null,
    unset: '`api.submit_action_runs` in `~/.polycrate/polycrate.yml`, else `true`',
    schema: () => read.yesOrNo,
  }),
  apiEndpointsFile: setting({
    variable: 'POLYCRATE_MCP_API_ENDPOINTS',
    meaning:
      'YAML file with further Polycrate APIs: `endpoints:`, a name each, with `url`, `api_key` or `api_key_file`, `submit_action_runs`, `workspaces` (a list of `organization/workspace`, `*` at the end for any rest) and `on_remote_conflict`.',
    form: 'a path',
    fallback: null,
    unset: 'the one of POLYCRATE_API_URL',
    schema: read.path,
  }),
  submit: setting({
    variable: 'POLYCRATE_MCP_SUBMIT',
    meaning: 'Workspaces whose runs are reported to their Polycrate API.',
    form: '`all`, `none`, or `organization/workspace` separated by commas, `*` at the end for any rest',
    fallback: 'all',
    schema: () => read.workspaceChoice,
  }),
  onRemoteConflict: setting({
    variable: 'POLYCRATE_MCP_ON_REMOTE_CONFLICT',
    meaning:
      'What happens when the Polycrate API has an open run of the same block: it is noted (`warn`), nothing is launched (`refuse`), or that record is cancelled at the API, which stops no process (`force`).',
    form: '`warn`, `refuse` or `force`',
    fallback: 'warn',
    schema: () => read.choice(['warn', 'refuse', 'force']),
  }),
  remoteRetrigger: setting({
    variable: 'POLYCRATE_MCP_REMOTE_RETRIGGER',
    meaning:
      "Whether a Polycrate API may be asked to execute what a past run did (a block rollout item), where its workspace is not on this host: `mode: 'remote'` of retrigger_action_run. What is asked for cannot be stopped from here.",
    form: '`true` or `false`',
    fallback: 'false',
    schema: () => read.yesOrNo,
  }),
  mirrorBackfill: setting({
    variable: 'POLYCRATE_MCP_MIRROR_BACKFILL',
    meaning:
      'How much of the history of a Polycrate API becomes part of the history here at first; what is new since then always does.',
    form: '`all`, a duration such as `90d`, a number of runs such as `10000`, or `off`',
    fallback: '90d',
    schema: () => read.backfill,
  }),
  mirrorMaxAgeMs: setting({
    variable: 'POLYCRATE_MCP_MIRROR_MAX_AGE',
    meaning: 'How old what is known of a Polycrate API may be before a question looks for news.',
    form: 'a duration such as `1m`',
    fallback: '1m',
    schema: () => read.duration,
  }),
  caFile: setting({
    variable: 'POLYCRATE_MCP_CA_FILE',
    meaning: 'Certificates (PEM) of authorities that are trusted besides those that Node.js knows.',
    form: 'a path',
    fallback: null,
    schema: read.path,
  }),
} as const satisfies Table;
