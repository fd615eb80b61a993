// Mirror of a Polycrate API, runs per second against a bare undici loop over the same pages and details; and how long a
// local run takes with the API healthy, slow and down.
//   node test/bench/mirror.mjs [RUNS]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Agent, request } from 'undici';

const runs = Number(process.argv[2] ?? 100_000);
const main = new URL('../../dist/main.js', import.meta.url).pathname;
const serverMain = new URL('../contract-server/main.mjs', import.meta.url).pathname;
const root = mkdtempSync(join(tmpdir(), 'polycrate-mcp-bench-mirror-'));
const server = spawn(process.execPath, [serverMain, '--db', join(root, 'api.db')], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [port] = await once(createInterface({ input: server.stdout }), 'line');
const url = `http://127.0.0.1:${port}`;
const env = {
  PATH: process.env.PATH,
  HOME: root,
  POLYCRATE_MCP_WORKSPACES: join(root, 'workspaces'),
  POLYCRATE_MCP_RUN_MODE: 'trusted',
  POLYCRATE_MCP_EXECUTOR: 'local',
  POLYCRATE_MCP_LOG_LEVEL: 'error',
  POLYCRATE_MCP_MIRROR_BACKFILL: 'all',
  POLYCRATE_API_ENABLED: 'true',
  POLYCRATE_API_URL: url,
  POLYCRATE_API_API_KEY: 'test-key-4711',
};

try {
  await fill();
  const bare = await timed(bareLoop);
  const first = await sync();
  const again = await sync();
  const rate = (seconds) => Math.round(runs / seconds);
  console.log(`${runs} runs, with the detail of each`);
  console.log(`bare undici loop   ${rate(bare)} runs/s`);
  console.log(`mirror             ${rate(first.seconds)} runs/s, ratio ${(bare / first.seconds).toFixed(2)}, peak memory ${first.peak} MB`);
  console.log(`nothing new        ${again.seconds.toFixed(2)} s`);
  await localRuns();
} finally {
  server.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
} // prettier-ignore

async function control(order, body) {
  const answer = await request(`${url}/__control/${order}`, { method: 'POST', body: JSON.stringify(body) });
  return answer.body.json();
}

async function fill() {
  const folder = join(root, 'workspaces', 'shop');
  mkdirSync(join(folder, 'blocks', 'db'), { recursive: true });
  writeFileSync(join(folder, 'workspace.poly'), 'name: shop\norganization: acme\nblocks:\n  - name: db\n');
  writeFileSync(
    join(folder, 'blocks', 'db', 'block.poly'),
    'name: db\nversion: 1.0.0\nactions:\n  - name: restart\n    script:\n      - "true"\n',
  );
  await control('seed', {
    organizations: [{ name: 'acme', workspaces: [{ name: 'shop', blocks: [{ name: 'db' }] }] }],
  });
  for (let done = 0; done < runs; done += 1_000) {
    const add = Array.from({ length: Math.min(1_000, runs - done) }, (_, n) => {
      const at = new Date(Date.now() - 40 * 86_400_000 + (done + n) * 10_000).toISOString();
      return { organization: 'acme', workspace: 'shop', block: 'db', action: 'restart', status: 'success', exit_code: 0, started_at: at, finished_at: at, created_at: at, username: 'bea', block_version: '1.4.3', metadata: '{"hostname":"laptop"}', log_stdout: 'one\ntwo' };
    }); // prettier-ignore
    await control('runs', { add });
  }
}

async function timed(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** The same requests, four at a time, and nothing done with the answers. */
async function bareLoop() {
  const dispatcher = new Agent({ connections: 4 });
  const get = async (path) => {
    const headers = { authorization: 'Bearer test-key-4711' };
    return (await request(url + path, { dispatcher, headers })).body.json();
  };
  for (let page = 1, more = true; more; page++) {
    const { results, next } = await get(`/api/v1/action-runs/?page=${page}&page_size=100`);
    const left = [...results];
    const worker = async () => {
      for (let run = left.pop(); run; run = left.pop()) await get(`/api/v1/action-runs/${run.id}/`);
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    more = next !== null;
  }
  await dispatcher.close();
}

async function sync() {
  let peak = 0;
  const seconds = await timed(async () => {
    const child = spawn(process.execPath, [main, 'mirror', 'sync', '--json'], {
      env: { ...env, POLYCRATE_MCP_HOME: join(root, 'home') },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const look = setInterval(() => (peak = Math.max(peak, memoryOf(child.pid))), 200);
    const [code] = await once(child, 'close');
    clearInterval(look);
    if (code !== 0) throw new Error(`the mirror ended with ${code}`);
  });
  return { seconds, peak };
}

function memoryOf(pid) {
  try {
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
  } catch {
    return 0;
  }
}

/** Interleaved, so that other work on the machine slows all of them alike. */
async function localRuns() {
  const states = ['healthy', 'slow', 'down'];
  const clients = [];
  for (const state of states) {
    const client = new Client({ name: 'bench', version: '1' });
    const at = state === 'down' ? { POLYCRATE_API_URL: 'http://127.0.0.1:9' } : {};
    const settings = {
      ...env,
      ...at,
      POLYCRATE_MCP_HOME: join(root, state),
      POLYCRATE_MCP_MIRROR_BACKFILL: '100',
    };
    await client.connect(
      new StdioClientTransport({ command: process.execPath, args: [main], env: settings }),
    );
    clients.push(client);
  }
  const times = states.map(() => []);
  for (let round = 0; round < 10; round++) {
    for (const [index, client] of clients.entries()) {
      if (states[index] === 'slow') await control('faults', { rules: [{ kind: 'delay', ms: 3_000, times: 1_000 }] });
      const call = { name: 'run_action', arguments: { workspace: 'shop', block: 'db', action: 'restart', wait_seconds: 30 } };
      times[index].push(await timed(async () => {
        const { structuredContent } = await client.callTool(call);
        if (structuredContent?.succeeded !== true) throw new Error(JSON.stringify(structuredContent));
      }));
      await control('faults', { rules: [] });
    }
  }
  const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
  const [healthy] = times.map(median);
  for (const [index, state] of states.entries()) {
    const time = median(times[index]);
    console.log(`a local run, API ${state}: ${(time * 1000).toFixed(0)} ms, ratio ${(time / healthy).toFixed(2)}`);
  }
  await Promise.all(clients.map((client) => client.close()));
} // prettier-ignore
