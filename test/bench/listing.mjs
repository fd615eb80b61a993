import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { start } from './client.mjs';
import { percentile, row, timed } from './stats.mjs';
import { MAIN } from './world.mjs';

const WORKSPACES = 500;
const BLOCKS = 40;
const CALLS = 100;

/** 20,000 blocks from cold and warm, against reading and parsing the same files with `yaml` alone. */
export async function listing(world) {
  const root = join(world.folder, 'many');
  await writeMany(root);
  const alone = await timed(() => readAlone(root));
  const server = start([MAIN], {
    ...world.env,
    POLYCRATE_MCP_WORKSPACES: root,
    POLYCRATE_MCP_EXECUTOR: 'local',
  });
  await server.initialize();
  try {
    const list = async () => {
      const { total } = await server.call('list_workspaces');
      if (total !== WORKSPACES) throw new Error(`${total} workspaces were listed, not ${WORKSPACES}`);
    };
    const cold = await timed(list);
    const warm = [];
    for (let n = 0; n < CALLS / 5; n++) warm.push(await timed(list));
    const block = [];
    for (let n = 0; n < CALLS; n++)
      block.push(
        await timed(() => server.call('get_block', { workspace: 'ws-7', block: `block-${n % BLOCKS}` })),
      );
    const memory = await peakMegabytes(server.pid);
    const detail = (ms) => `${ms.toFixed(1)} ms, yaml alone ${alone.toFixed(0)} ms`;
    const warmMs = percentile(warm, 0.5);
    return [
      row('listing 20,000 blocks, cold', { detail: detail(cold), value: cold / alone, bar: 2 }),
      row('listing 20,000 blocks, warm', { detail: detail(warmMs), value: warmMs / alone, bar: 0.05 }),
      row('get_block of 20,000, p50', {
        detail: `${CALLS} calls`,
        value: percentile(block, 0.5),
        bar: 5,
        unit: 'ms',
      }),
      row('memory with 20,000 blocks', { detail: 'highest resident', value: memory, bar: 600, unit: 'MB' }),
    ];
  } finally {
    await server.end();
    await rm(root, { recursive: true, force: true });
  }
}

async function peakMegabytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

async function readAlone(root) {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }))
    if (entry.name.endsWith('.poly')) parse(await readFile(join(entry.parentPath, entry.name), 'utf8'));
}

async function writeMany(root) {
  for (let n = 0; n < WORKSPACES; n++) {
    const path = join(root, `org-${n % 10}`, `ws-${n}`);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'workspace.poly'), workspaceText(n));
    for (let b = 0; b < BLOCKS; b++) {
      await mkdir(join(path, 'blocks', `block-${b}`), { recursive: true });
      await writeFile(join(path, 'blocks', `block-${b}`, 'block.poly'), blockText(n, b));
    }
  }
}

const workspaceText = (n) => `name: ws-${n}
organization: org-${n % 10}
labels:
  environment: test
blocks:
  - name: block-0
    config:
      size: ${n}
`;

const blockText = (n, b) => `name: block-${b}
version: 1.${n}.${b}
kind: generic
description: Block ${b} of workspace ${n}
config:
  port: ${5000 + b}
  host: "db-${n}.example.com"
  features: [a, b, c]
  nested:
    enabled: true
    password: 'secret-${n}-${b}'
    levels:
      - name: one
        value: 1
      - name: two
        value: 2
actions:
  - name: install
    description: Installs it
    playbook: install.yml
  - name: status
    script:
      - echo status
      - kubectl get pods -n app-${n}
`;
