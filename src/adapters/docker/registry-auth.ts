import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../../shared/json.ts';

/** What the engine sends to a registry; the member names are the engine's. */
export interface RegistryAuth {
  username?: string;
  password?: string;
  identitytoken?: string;
  serveraddress: string;
}

export interface AuthSources {
  /** Folder of the Docker `config.json`. */
  configDir: string;
  /** Environment of credential helpers; they are found by its PATH. */
  helperEnv: Readonly<Record<string, string>>;
}

const HUB = 'docker.io';
const HUB_KEY = 'https://index.docker.io/v1/';
const HELPER_MS = 5000;
const HELPER_NAME = /^[a-z0-9-]+$/i;

/** The registry host of a reference: its first part if that looks like a host, else Docker Hub. */
export function registryOf(reference: string): string {
  const [first, ...rest] = reference.split('/');
  if (rest.length === 0 || first === undefined) return HUB;
  if (!/[.:]/.test(first) && first !== 'localhost') return HUB;
  return first === 'index.docker.io' ? HUB : first;
}

/** Credentials for a registry as the Docker CLI would find them; null: pull without. */
export async function findRegistryAuth(registry: string, sources: AuthSources): Promise<RegistryAuth | null> {
  const config = await readConfig(sources.configDir);
  const key = registry === HUB ? HUB_KEY : registry;
  const helpers = isObject(config['credHelpers']) ? config['credHelpers'] : {};
  const helper = helpers[key] ?? helpers[registry] ?? config['credsStore'];
  if (typeof helper === 'string' && HELPER_NAME.test(helper)) {
    const answer = await askHelper(helper, { registry: key, env: sources.helperEnv });
    if (answer !== null) return answer;
  }
  return isObject(config['auths']) ? authFromConfig(config['auths'], key) : null;
}

async function readConfig(dir: string): Promise<Record<string, unknown>> {
  try {
    const config: unknown = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'));
    return isObject(config) ? config : {};
  } catch {
    // Without a readable config the pull goes on without credentials; the registry then says what it wants.
    return {};
  }
}

/** Keys of `auths` are hosts, or the same with scheme or path, as older tools wrote them. */
export function authFromConfig(auths: Record<string, unknown>, key: string): RegistryAuth | null {
  const host = hostOf(key);
  const entry = auths[key] ?? Object.entries(auths).find(([name]) => hostOf(name) === host)?.[1];
  if (!isObject(entry)) return null;
  const { auth, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '') return { identitytoken, serveraddress: key };
  if (typeof auth !== 'string') return null;
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(auth, 'base64').toString('utf8')) ?? [];
  if (username === undefined || password === undefined) return null;
  return { username, password: password.replace(/\0+$/, ''), serveraddress: key };
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0] ?? key;
}

/** Runs `docker-credential-<helper> get`, the registry on stdin. Null: it has none, or does not answer. */
async function askHelper(
  helper: string,
  { registry, env }: { registry: string; env: Readonly<Record<string, string>> },
): Promise<RegistryAuth | null> {
  const answer = await outputOf(`docker-credential-${helper}`, { input: registry, env });
  try {
    const { Username, Secret } = JSON.parse(answer) as { Username?: unknown; Secret?: unknown };
    if (typeof Username !== 'string' || typeof Secret !== 'string' || Secret === '') return null;
    if (Username === '<token>') return { identitytoken: Secret, serveraddress: registry };
    return { username: Username, password: Secret, serveraddress: registry };
  } catch {
    return null;
  }
}

/** Standard output of a program that ended well within the time; else nothing. */
function outputOf(
  program: string,
  { input, env }: { input: string; env: Readonly<Record<string, string>> },
): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, ['get'], { env, stdio: ['pipe', 'pipe', 'ignore'], timeout: HELPER_MS });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', () => resolve(''));
    child.on('close', (code) => resolve(code === 0 ? Buffer.concat(chunks).toString('utf8') : ''));
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${input}\n`);
  });
}
