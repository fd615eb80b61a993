import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { freePort } from './free-port.ts';
import { SSH_IMAGE } from './images.ts';

/** A machine to work on: sshd on the loopback address of the host's network, PostgreSQL on a Unix socket. */
export interface SshTarget {
  port: number;
  /** OpenSSH private key of the user `deploy`, who may use sudo. Made for this target, never stored. */
  privateKey: string;
  /** When PostgreSQL was started, as it says itself: changes with every restart. */
  databaseStartedAt(): Promise<string>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 30_000;

/** Starts a target and waits until both services answer. Leaves nothing behind if that fails. */
export async function startSshTarget(): Promise<SshTarget> {
  const name = `polycrate-mcp-test-ssh-${randomUUID()}`;
  const port = await freePort();
  const key = await makeKey();
  const stop = async (): Promise<void> => {
    await docker(['rm', '--force', '--volumes', name]);
  };
  try {
    await docker(runArguments(name, port));
    await authorise(name, key.publicKey);
    await docker(['exec', name, 'service', 'postgresql', 'start']);
    const databaseStartedAt = (): Promise<string> => psql(name, 'select pg_postmaster_start_time()');
    await until('PostgreSQL in the SSH target', databaseStartedAt);
    await until('sshd in the SSH target', () =>
      docker(['exec', name, 'ssh-keyscan', '-p', `${port}`, '127.0.0.1']),
    );
    return { port, privateKey: key.privateKey, databaseStartedAt, stop };
  } catch (error) {
    const { stdout, stderr } = await execa('docker', ['logs', name], { reject: false });
    await stop();
    throw new Error(`the SSH target did not start; its log:\n${stdout}${stderr}`, { cause: error });
  }
}

function runArguments(name: string, port: number): string[] {
  const sshd = ['/usr/sbin/sshd', '-D', '-e', '-p', `${port}`];
  const options = ['ListenAddress=127.0.0.1', 'UsePAM=no', 'PasswordAuthentication=no'];
  return [
    ...['run', '--detach', '--init', '--network', 'host', '--name', name],
    ...['--label', 'polycrate-mcp-test=ssh-target', SSH_IMAGE, ...sshd],
    ...options.flatMap((option) => ['-o', option]),
  ];
}

async function authorise(name: string, publicKey: string): Promise<void> {
  const file = '/home/deploy/.ssh/authorized_keys';
  const install = ['install', '-D', '-m', '600', '-o', 'deploy', '-g', 'deploy', '/dev/stdin', file];
  await docker(['exec', '--interactive', name, ...install], publicKey);
}

function psql(name: string, query: string): Promise<string> {
  return docker(['exec', '--user', 'postgres', name, 'psql', '-At', '-c', query]);
}

async function docker(args: readonly string[], input = ''): Promise<string> {
  const { stdout } = await execa('docker', args, { input });
  return stdout;
}

async function makeKey(): Promise<{ privateKey: string; publicKey: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'polycrate-mcp-key-'));
  const file = join(folder, 'key');
  try {
    await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'polycrate-mcp-test', '-f', file]);
    return { privateKey: await readFile(file, 'utf8'), publicKey: await readFile(`${file}.pub`, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Repeats a look until it succeeds; each look is a process of its own, which paces the loop. */
async function until(what: string, look: () => Promise<string>): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      if ((await look()).trim() !== '') return;
    } catch (error) {
      if (Date.now() > deadline)
        throw new Error(`${what} was not ready in ${READY_WITHIN_MS} ms`, { cause: error });
    }
    if (Date.now() > deadline) throw new Error(`${what} was not ready in ${READY_WITHIN_MS} ms`);
  }
}
