import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Agent, request } from 'undici';
import { MODERN } from './client.mjs';
import { percentile, row } from './stats.mjs';
import { MAIN } from './world.mjs';

const BARE = new URL('http-server.mjs', import.meta.url).pathname;
const CONCURRENCY = [1, 10, 100, 1_000];
/** Requests of one measurement; each concurrency has several, interleaved with the other server. */
const REQUESTS = 1_000;
const ROUNDS = 5;
/** At least 80 % of the other's requests per second: its time may be exceeded by a quarter. */
const BAR = 1.25;
const LONG = 100_000;

/** `serve` against the bare library with as many tools: `requests` per measurement, then memory over `long` calls. */
export async function http(world, { requests = REQUESTS, long = LONG } = {}) {
  const ours = await startServe({ ...world.env, POLYCRATE_MCP_RATE_LIMIT: 'none', POLYCRATE_MCP_LOG_LEVEL: 'error' });
  const tools = (await post(new Agent(), ours.url, { method: 'tools/list' })).result.tools.length;
  const bare = await startBare(tools);
  const rows = [];
  try {
    for (const concurrency of CONCURRENCY) {
      rows.push(...(await compare('tools/list', { concurrency, requests, ours: [ours.url, LIST], bare: [bare.url, LIST], bar: BAR })));
      rows.push(...(await compare('a call', { concurrency, requests, ours: [ours.url, STATUS], bare: [bare.url, ECHO], bar: null })));
    }
    rows.push(await memory(ours, long));
    return rows;
  } finally {
    await Promise.all([ours.end(), bare.end()]);
  }
} // prettier-ignore

const LIST = { method: 'tools/list' };
const STATUS = { method: 'tools/call', params: { name: 'get_status', arguments: {} } };
const ECHO = { method: 'tools/call', params: { name: 'echo_0', arguments: { text: 'hello' } } };

async function compare(what, { concurrency, requests, ours, bare, bar }) {
  const agent = new Agent({ connections: concurrency, pipelining: 1 });
  const sides = { ours: { target: ours, times: [], seconds: 0 }, bare: { target: bare, times: [], seconds: 0 } };
  for (const { target } of Object.values(sides)) await burst(agent, target, { concurrency, requests: Math.min(requests, 2 * concurrency) });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of round % 2 === 0 ? ['ours', 'bare'] : ['bare', 'ours']) {
      const { seconds, times } = await burst(agent, sides[side].target, { concurrency, requests });
      sides[side].seconds += seconds;
      sides[side].times.push(...times);
    }
  }
  await agent.close();
  const rate = ({ seconds }) => Math.round((ROUNDS * requests) / seconds);
  const p99 = ({ times }) => percentile(times, 99).toFixed(1);
  const detail = `${rate(sides.ours)}/s, p99 ${p99(sides.ours)} ms; bare ${rate(sides.bare)}/s, p99 ${p99(sides.bare)} ms`;
  return [row(`HTTP, ${what}, ${concurrency} at once`, { detail, value: sides.ours.seconds / sides.bare.seconds, bar })];
} // prettier-ignore

async function burst(agent, [url, message], { concurrency, requests }) {
  const times = [];
  let left = requests;
  const worker = async () => {
    while (left-- > 0) {
      const began = performance.now();
      const answer = await post(agent, url, message);
      if (answer.error || answer.result?.isError) throw new Error(JSON.stringify(answer).slice(0, 300));
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  return { times, seconds: (performance.now() - began) / 1000 };
}

let last = 0;

async function post(dispatcher, url, { method, params = {} }) {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(params.name && { 'mcp-name': params.name }),
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: ++last, method, params: { ...params, _meta: MODERN } });
  const answer = await request(url, { method: 'POST', headers, body, dispatcher });
  const text = await answer.body.text();
  // One event, where the server chose to stream.
  return JSON.parse(text.startsWith('{') ? text : /^data: (.*)$/m.exec(text)[1]);
}

/** Resident memory after the first tenth of the calls, and after all of them. */
async function memory(server, calls) {
  const agent = new Agent({ connections: 50, pipelining: 1 });
  const seen = [];
  for (let part = 0; part < 10; part += 1) {
    await burst(agent, [server.url, LIST], { concurrency: 50, requests: Math.ceil(calls / 10) });
    seen.push(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024);
  }
  await agent.close();
  const detail = `resident after each tenth of ${calls} calls: ${seen.map((size) => size.toFixed(0)).join(', ')} MB`;
  return row('HTTP, memory, last over second tenth', { detail, value: seen.at(-1) / seen[1], bar: calls >= LONG ? 1.2 : null });
} // prettier-ignore

async function startServe(env) {
  return await listening(
    [MAIN, 'serve', '--with-runner', '--port', '0', '--no-auth'],
    env,
    'stderr',
    /serving MCP at ([^\s,]+)/,
  );
}

async function startBare(tools) {
  return await listening([BARE, String(tools)], {}, 'stdout', /(http:\S+)/);
}

/** A server whose address is in the first line that fits. */
export async function listening(args, env, stream, pattern) {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', stream === 'stdout' ? 'pipe' : 'ignore', stream === 'stderr' ? 'pipe' : 'inherit'],
  });
  const lines = createInterface({ input: child[stream] });
  for await (const line of lines) {
    const url = pattern.exec(line)?.[1];
    if (!url) continue;
    child[stream].resume();
    return {
      url,
      pid: child.pid,
      async end() {
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new Error(`${args.join(' ')} ended before it listened`);
}
