import * as read from './parsers.ts';
import { setting, type Table } from './setting.ts';

/** What only `serve` reads. */
export const TEAM_SETTINGS = {
  publicUrl: setting({
    variable: 'POLYCRATE_MCP_PUBLIC_URL',
    meaning: 'How clients reach the team server, where that is not the address that it listens at.',
    form: '`https://HOST` with a port, if it has one',
    fallback: null,
    unset: 'the address that it listens at',
    schema: () => read.webAddress,
  }),
  allowedHosts: setting({
    variable: 'POLYCRATE_MCP_ALLOWED_HOSTS',
    meaning: 'Host names under which the team server may be addressed besides its own and loopback.',
    form: 'host names without ports, separated by commas',
    fallback: '',
    unset: 'none',
    schema: () => read.hostNames,
  }),
  allowedOrigins: setting({
    variable: 'POLYCRATE_MCP_ALLOWED_ORIGINS',
    meaning: 'Hosts of web pages that may call the team server besides its own and loopback.',
    form: 'host names without ports, separated by commas',
    fallback: '',
    unset: 'none',
    schema: () => read.hostNames,
  }),
  rateLimit: setting({
    variable: 'POLYCRATE_MCP_RATE_LIMIT',
    meaning: 'Requests that one principal may send to the team server in a minute.',
    form: 'a whole number, or `none`',
    fallback: '1200',
    schema: () => read.orNone(read.count),
  }),
  oidcIssuer: setting({
    variable: 'POLYCRATE_MCP_OIDC_ISSUER',
    meaning:
      'OpenID Connect issuer whose access tokens the team server accepts, besides its own keys. Scopes `polycrate:read`, `:run`, `:approve` and `:admin` are the roles; the claim `polycrate_workspaces` narrows what a token sees.',
    form: '`https://…`, exactly as in its tokens',
    fallback: null,
    schema: () => read.webAddress,
  }),
  oidcAudience: setting({
    variable: 'POLYCRATE_MCP_OIDC_AUDIENCE',
    meaning: 'What tokens for this server name as their audience.',
    form: 'one word',
    fallback: null,
    unset: 'the URL of the MCP endpoint',
    schema: () => read.text,
  }),
  oidcClientId: setting({
    variable: 'POLYCRATE_MCP_OIDC_CLIENT_ID',
    meaning:
      'As which client the issuer knows the approval page, so that people log in there without a token at hand; needs `POLYCRATE_MCP_PUBLIC_URL`.',
    form: 'one word',
    fallback: null,
    unset: 'approvers log in with a key, or paste a token',
    schema: () => read.text,
  }),
  oidcClientSecret: setting({
    variable: 'POLYCRATE_MCP_OIDC_CLIENT_SECRET',
    meaning: 'Secret of that client.',
    form: 'any text',
    fallback: null,
    unset: 'it is a public client, which has none',
    secret: true,
    schema: () => read.passphrase,
  }),
  webhooks: setting({
    variable: 'POLYCRATE_MCP_WEBHOOKS',
    meaning:
      'Receivers that are told of runs that wait for approval, that started, and that ended; each may be a secret, so the whole is treated as one.',
    form: '`json=URL`, `slack=URL` or `mattermost=URL`, several separated by spaces or lines',
    fallback: null,
    unset: 'nobody is told',
    secret: true,
    schema: () => read.webhooks,
  }),
  webhookSecret: setting({
    variable: 'POLYCRATE_MCP_WEBHOOK_SECRET',
    meaning: 'Signs what `json` receivers get (header `Polycrate-Signature`).',
    form: 'any text',
    fallback: null,
    unset: 'they get it unsigned',
    secret: true,
    schema: () => read.text,
  }),
  stateKeyFile: setting({
    variable: 'POLYCRATE_MCP_STATE_KEY_FILE',
    meaning:
      'File with at least 32 random bytes that seal questions to humans; servers behind one address share it.',
    form: 'a path',
    fallback: null,
    unset: 'a key of its own for each server',
    schema: read.path,
  }),
} as const satisfies Table;
