import { chmod, cp, mkdir, mkdtemp, readFile, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FIXTURE = new URL('../fixtures/acme/workspace', import.meta.url).pathname;

/** The host of the acme story; tests map the name to the loopback address. */
export const ACME_HOST = 'db-prod01.acme-corp.com';

/**
 * A copy of the acme workspace in a fresh folder, with the SSH key that its inventory asks for and the port
 * of the target at hand. Answers the folder that holds `acme/acme-corp-automation`.
 */
export async function acmeWorkspace(target: {
  port: number;
  privateKey: string;
}): Promise<{ root: string; path: string }> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-mcp-acme-')));
  const path = join(root, 'acme', 'acme-corp-automation');
  await cp(FIXTURE, path, { recursive: true });
  const inventory = join(path, 'inventory.yml');
  const text = await readFile(inventory, 'utf8');
  await writeFile(inventory, text.replace('ansible_port: 2222', `ansible_port: ${target.port}`));
  const secrets = join(path, 'artifacts', 'secrets');
  await mkdir(secrets, { recursive: true });
  await writeFile(join(secrets, 'prod-db.key'), target.privateKey);
  await chmod(join(secrets, 'prod-db.key'), 0o600);
  return { root, path };
}
