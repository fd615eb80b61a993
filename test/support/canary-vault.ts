import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { TEST_IMAGE } from './images.ts';
import { script, writeWorkspace } from './workspaces.ts';

// A workspace with one unique value in every place where a secret can live, and an action that prints them all.

const SPILL = new URL('../fixtures/spill-all.py', import.meta.url).pathname;

/** A value that nothing else holds, in the letters that encodings change. */
const canary = (place: string): string =>
  `${createHash('sha256').update(place).digest('base64').slice(0, 9)}/${createHash('md5').update(place).digest('base64').slice(0, 12)}+z`;
const pem = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

export const PLACES = [
  'secrets.poly, a secret by name', 'secrets.poly, any key', 'secrets.poly, in a list', 'secrets.poly, extraenv',
  'secret file', 'secret YAML', 'secret JSON', 'secret file of the block', 'encrypted secret file', 'encrypted secret YAML',
  'kubeconfig of all', 'kubeconfig of the block', 'inventory in YAML', 'inventory in INI', 'group_vars', 'host_vars',
  'config', 'config, nested', 'config, a credential', 'config, a key', 'URL in config', 'config of an action', 'globals', 'meta', 'extraenv',
  'registry', 'config.registry', 'header of the webhook', 'label of the workspace', 'label of the block', 'label of an action', 'URL of sync', 'api key in the workspace',
] as const; // prettier-ignore
export type Place = (typeof PLACES)[number];

const values = Object.fromEntries(PLACES.map((place) => [place, canary(place)])) as Record<Place, string>;
export const of = (place: Place): string => values[place];
export const KEYS = { 'key in the root': pem(), 'key among the secrets': pem() };
/** Known to the server alone: no action prints them, and the settings hide them. */
export const SETTINGS = { 'password of a registry': canary('registry password') };
/** In logs of the CLI alone, from a time when the workspace had other secrets. */
export const LOGGED = {
  'snapshot of a log': canary('snapshot of a log'),
  'environment of a log': canary('environment of a log'),
  'broken log': canary('broken log'),
  'command of a log': canary('command of a log'),
};

/** Written into a URL some look otherwise: an action prints what the file holds. */
export function spilled(): string[] {
  const urls: Partial<Record<Place, string>> = { 'URL in config': of('URL in config').replace(/[/+]/g, '-') };
  return [...PLACES.map((place) => urls[place] ?? of(place)), ...Object.values(KEYS)];
}

export interface Vault {
  /** What opens its encrypted files. */
  identity: string;
}

/** Below `root`: `tests/vault` with its logs; in `docker` the settings of the Docker client. */
export async function plantVault(root: string, docker: string): Promise<Vault> {
  const identity = await generateIdentity();
  const path = await writeWorkspace(root, {
    name: 'vault',
    organization: 'tests',
    rest: workspacePoly(),
    blocks: blocks(),
    files: files(),
  });
  await seal({ path, identity }, 'artifacts/secrets/sealed.txt', of('encrypted secret file'));
  await seal({ path, identity }, 'artifacts/secrets/sealed.yml', `user: { any: ${of('encrypted secret YAML')} }\n`);
  const auth = Buffer.from(`user:${SETTINGS['password of a registry']}`).toString('base64');
  await writeFile(join(docker, 'config.json'), JSON.stringify({ auths: { '127.0.0.1:9': { auth } } }));
  return { identity };
} // prettier-ignore

function workspacePoly(): Record<string, unknown> {
  const colon = TEST_IMAGE.lastIndexOf(':');
  return {
    labels: { environment: 'production', api_token: of('label of the workspace') },
    meta: { owner_password: of('meta') },
    registry: { endpoint: 'r.example', username: 'u', password: of('registry') },
    events: { handler: 'webhook', headers: { 'X-Auth': `Bearer ${of('header of the webhook')}` } },
    sync: { remote: { url: `https://git:${encodeURIComponent(of('URL of sync'))}@git.example/x.git` } },
    api: { api_key: of('api key in the workspace') },
    config: {
      image: { reference: TEST_IMAGE.slice(0, colon), version: TEST_IMAGE.slice(colon + 1) },
      sshprivatekey: 'deploy_key',
      globals: { smtp: { password: of('globals') } },
      registry: { password: of('config.registry') },
    },
    extraenv: [`HCLOUD_TOKEN=${of('extraenv')}`],
    blocks: [{ name: 'keeper' }, { name: 'ini' }],
    workflows: [
      {
        name: 'release',
        steps: [
          { name: 'one', block: 'ini', action: 'hello' },
          { name: 'two', block: 'keeper', action: 'env' },
        ],
      },
    ],
  };
}

function blocks(): Record<string, Record<string, unknown>> {
  return {
    keeper: {
      version: '1.0.0',
      labels: { webhook_secret: of('label of the block') },
      config: {
        db: { password: of('config'), users: [{ name: 'a', api_token: of('config, nested') }] },
        s3_credentials: of('config, a credential'),
        signing_key: of('config, a key'),
        url: `postgres://app:${of('URL in config').replace(/[/+]/g, '-')}@db.example/app`,
        overridden: 'unset',
      },
      actions: [
        { ...script('spill', 'python3 spill-all.py values.json'), labels: { token: of('label of an action') }, config: { password: of('config of an action') } },
        { name: 'play', playbook: 'play.yml' },
        script('env', 'env'),
        { ...script('asks', 'true'), prompt: { message: `Is it ${of('config')}?` } },
      ],
    },
    ini: { actions: [script('hello', 'echo hello')] },
    slow: { actions: [script('linger', 'sleep 60')] },
  };
} // prettier-ignore

function files(): Record<string, string> {
  return {
    'blocks/keeper/spill-all.py': readFileSync(SPILL, 'utf8'),
    'blocks/keeper/values.json': JSON.stringify(spilled()),
    'blocks/keeper/play.yml': '- hosts: web\n  tasks: []\n',
    'secrets.poly': JSON.stringify({
      extraenv: [`ANY_NAME=${of('secrets.poly, extraenv')}`],
      blocks: [{ name: 'keeper', config: { admin_password: of('secrets.poly, a secret by name'), overridden: of('secrets.poly, any key'), list: [{ x: of('secrets.poly, in a list') }] } }],
    }),
    'artifacts/secrets/api.txt': of('secret file'),
    'artifacts/secrets/values.yml': `some:\n  - deep: ${of('secret YAML')}\n`,
    'artifacts/secrets/values.json': JSON.stringify({ a: [of('secret JSON')] }),
    'artifacts/secrets/keeper/own.txt': of('secret file of the block'),
    'artifacts/secrets/id_rsa': KEYS['key among the secrets'],
    deploy_key: KEYS['key in the root'],
    'artifacts/secrets/kubeconfig.yml': `users: [{ name: me, user: { token: ${of('kubeconfig of all')} } }]\n`,
    'artifacts/blocks/keeper/kubeconfig.yml': `users: [{ name: me, user: { client-key-data: ${of('kubeconfig of the block')} } }]\n`,
    'inventory.yml': `web: { hosts: { web-1: { ansible_password: ${of('inventory in YAML')} } } }\n`,
    'artifacts/blocks/ini/inventory.yml': `[db]\ndb-1 ansible_become_pass=${of('inventory in INI')}\n`,
    'group_vars/web.yml': `db_password: ${of('group_vars')}\n`,
    'host_vars/web-1.yml': `api_token: ${of('host_vars')}\n`,
    ...logs(),
  };
} // prettier-ignore

/** Both layouts of the CLI's logs: with what it leaves in clear, today's secrets among it, and one that is broken. */
function logs(): Record<string, string> {
  const { 'snapshot of a log': snapshot, 'environment of a log': token, 'command of a log': typed } = LOGGED;
  const values = [...spilled(), snapshot, token];
  const { stdout: output } = spawnSync('python3', [SPILL], { input: JSON.stringify(values), encoding: 'utf8' });
  const event = (transaction: string, date: string, more = {}): string => JSON.stringify({
    transaction, date, workspace: 'vault', block: 'keeper', action: 'spill', output,
    command: `polycrate run keeper spill --env=DB_TOKEN=${typed}`,
    user_email: 'bea@example.org', user_name: `Bea ${of('secret file')}`, message: snapshot,
    snapshot: { workspace: { config: { globals: { db_password: snapshot } } }, block: { name: 'keeper', version: '0.9.0' }, env: { DB_TOKEN: token } },
    ...more,
  });
  return {
    '.logs/2025/05/23/nested.yml': event('nested-1', '2025-05-23T18:30:00+02:00'),
    '.logs/2025-06-01/flat.yml': event('flat-1', '2025-06-01T08:00:00Z', { exit_code: 1 }),
    '.logs/2025-06-01/broken.yml': `transaction: "x\n  secret: ${LOGGED['broken log']}`,
    '.logs/2025-06-01/no-event.yml': JSON.stringify({ transaction: LOGGED['broken log'], date: LOGGED['broken log'], block: 'b', action: 'a' }),
  };
} // prettier-ignore

async function seal({ path, identity }: { path: string; identity: string }, name: string, text: string): Promise<void> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  await mkdir(dirname(join(path, name)), { recursive: true });
  await writeFile(join(path, `${name}.age`), await encrypter.encrypt(text));
  await chmod(join(path, `${name}.age`), 0o600);
} // prettier-ignore
