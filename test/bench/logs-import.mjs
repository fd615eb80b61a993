// Import of the CLI's logs, runs per second against a plain parse of the same files with `yaml`.
//   npm run bench -- --only logs-import --runs 20000
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { row, timed } from './stats.mjs';
import { MAIN } from './world.mjs';

const KILOBYTES = 20;

export async function logsImport({ folder, env }, { runs: files }) {
  const root = join(folder, 'logged');
  const logs = join(root, 'shop', '.logs');
  writeLogs(root, files);
  const plain = await timed(() => {
    for (const file of readdirSync(logs, { recursive: true })) {
      if (file.endsWith('.yml')) parse(readFileSync(join(logs, file), 'utf8'));
    }
  });
  const settings = { ...process.env, ...env, POLYCRATE_MCP_WORKSPACES: root };
  const first = await imported(settings, files);
  const again = await imported(settings, 0);
  const what = `${files} files of ${KILOBYTES} kB`;
  const rate = (ms) => Math.round((files / ms) * 1000);
  return [
    row('import of CLI logs', {
      detail: `${what}: ${rate(first.ms)} runs/s, yaml alone ${rate(plain)} files/s`,
      value: first.ms / plain,
      bar: 2.5,
    }),
    row('import of CLI logs, memory', {
      detail: 'highest resident',
      value: first.peak,
      bar: 500,
      unit: 'MB',
    }),
    row('import of CLI logs, nothing new', { detail: what, value: again.ms / plain, bar: 0.5 }),
  ];
}

function writeLogs(root, files) {
  const workspace = join(root, 'shop');
  mkdirSync(workspace, { recursive: true });
  writeFileSync(join(workspace, 'workspace.poly'), 'name: shop\norganization: acme\n');
  const config = Object.fromEntries(
    Array.from({ length: (KILOBYTES * 1024) / 50 }, (_, n) => [
      `option_${n}`,
      `value number ${n} of the snapshot`,
    ]),
  );
  const rest = stringify({
    block: 'db',
    action: 'restart',
    user_name: 'Bea',
    version: '0.23.3',
    output: 'one\r\ntwo\r\n',
    snapshot: {
      workspace: { name: 'shop', config },
      block: { name: 'db', version: '1.4.3' },
      env: { A_TOKEN: 'nobody-may-see-it' },
    },
  });
  for (let n = 0; n < files; n++) {
    const date = new Date(Date.UTC(2025, 0, 1) + n * 600_000).toISOString();
    const day = join(workspace, '.logs', date.slice(0, 10));
    mkdirSync(day, { recursive: true });
    const id = randomUUID();
    writeFileSync(join(day, `${id}.yml`), `transaction: ${id}\ndate: "${date}"\n${rest}`);
  }
}

async function imported(env, files) {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, 'history', 'import'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (chunk) => (told += String(chunk)));
  let peak = 0;
  const look = setInterval(() => void memoryOf(child.pid).then((now) => (peak = Math.max(peak, now))), 200);
  const [code] = await once(child, 'close');
  clearInterval(look);
  if (code !== 0 || !told.includes(` ${files} new run`))
    throw new Error(`the import ended with ${code}: ${told}`);
  return { ms: performance.now() - began, peak };
}

async function memoryOf(pid) {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]).catch(() => ({
    stdout: '0',
  }));
  return Math.round(Number(stdout) / 1024);
}
