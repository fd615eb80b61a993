import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';
import type { Workspace } from '../../workspaces/workspace.ts';

const MAX_FILES = 20_000;
const MAX_IGNORE_BYTES = 256 * 1024;
const IGNORE_FILE = '.dockerignore';

/** Folders and files that never reach the engine, wherever in the workspace they are. An image is no place for secrets. */
const SECRET_NAMES: readonly RegExp[] = [
  /^\.(git|logs|ssh|gnupg|aws|azure|kube|docker|terraform)$/,
  /\.(age|pem|key|p12|pfx|jks|kdbx|tfstate|tfvars|poly)(\.backup)?$/i,
  /^id_(rsa|dsa|ecdsa|ed25519)(_sk)?$/,
  /^\.env(\..*)?$/,
  /^(\.netrc|\.pgpass|\.npmrc|\.pypirc|\.my\.cnf|\.git-credentials|\.vault[-_]pass.*)$/,
  /kubeconfig/i,
  /^(group_vars|host_vars)$/,
  /^inventory(\.(ya?ml|ini|toml|json))?$/i,
];

/** What one workspace keeps secrets in, by its own configuration. */
export function leftOut({ config, inventory, kubeconfig }: Workspace): string[] {
  const paths = [config.artifactsroot, config.logsroot, config.sshprivatekey, inventory, kubeconfig];
  return [
    ...new Set(paths.flatMap((path) => (path === null ? [] : [path.replace(/^\.\/|\/+$/g, '')]))),
  ].sort();
}

export interface ContextFile {
  name: string;
  kind: 'file' | 'link';
}

interface Wanted {
  dockerfile: string;
  left_out: readonly string[];
}

/**
 * What a build may see, in order of the names. `.dockerignore` can only take more away: what is secret stays away
 * whatever it says. The Dockerfile itself travels apart.
 */
export async function contextFiles(root: string, { dockerfile, left_out }: Wanted): Promise<ContextFile[]> {
  const never = new Set([...left_out, dockerfile, IGNORE_FILE]);
  const ignored = await ignoring(root);
  const found: ContextFile[] = [];
  const waiting = [''];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(join(root, next), { withFileTypes: true })) {
      const name = next === '' ? entry.name : `${next}/${entry.name}`;
      if (never.has(name) || SECRET_NAMES.some((pattern) => pattern.test(entry.name))) continue;
      if (entry.isDirectory()) waiting.push(name);
      else if (ignored(name)) continue;
      else if (entry.isFile()) found.push({ name, kind: 'file' });
      else if (entry.isSymbolicLink()) found.push({ name, kind: 'link' });
      if (found.length > MAX_FILES) throw tooMany();
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function ignoring(root: string): Promise<(name: string) => boolean> {
  const path = await containedPath(root, IGNORE_FILE);
  const read = path === null ? null : await readRegular(path, MAX_IGNORE_BYTES);
  if (read?.outcome !== 'read') return () => false;
  // CommonJS with a default of its own.
  const { default: library } = await import('@balena/dockerignore');
  const rules = library.default({ ignorecase: false }).add(Buffer.from(read.bytes).toString('utf8'));
  return (name) => rules.ignores(name);
}

function tooMany(): AppError {
  return new AppError('refused', `The build context holds more than ${MAX_FILES} files.`, {
    next: 'Name what the image does not need in .dockerignore.',
  });
}
