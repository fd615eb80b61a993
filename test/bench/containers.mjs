import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { start } from './client.mjs';
import { pairs, ratioRow, row, timed } from './stats.mjs';
import { dockerRun, IMAGE, MAIN } from './world.mjs';

const PAIRS = 25;
const MEGABYTE = 1024 * 1024;

async function serving(world, work) {
  const server = start([MAIN], world.env);
  await server.initialize();
  try {
    return await work(server);
  } finally {
    await server.end();
  }
}

function run(server, target, more = {}) {
  return server.call('run_action', {
    workspace: 'alpha',
    block: 'one',
    wait_seconds: 50,
    ...target,
    ...more,
  });
}

function mustSucceed({ run: record }) {
  if (record.status !== 'success')
    throw new Error(`the run ended as ${record.status}: ${record.status_reason}`);
}

/** `true` in a container, recorded, against the Docker client, which records nothing. */
export function shortRun(world) {
  return serving(world, async (server) => {
    const ours = async () => mustSucceed(await run(server, { action: 'nothing' }));
    const docker = () => dockerRun('true');
    await pairs(1, ours, docker);
    const times = await pairs(PAIRS, ours, docker);
    return [ratioRow('run_action of `true`', { times, bar: 1, other: 'docker run', digits: 0 })];
  });
}

/** 200 MB of output: what the server takes, and how long it holds the container up. */
export function bigLog(world) {
  return serving(world, async (server) => {
    const ours = await timed(async () => {
      for (let answer = await run(server, { action: 'chatty' }); ;) {
        if (answer.finished) return mustSucceed(answer);
        answer = await server.call('wait_for_action_run', { run_id: answer.run.id, wait_seconds: 50 });
      }
    });
    const peak = await peakMemory(server.pid);
    const theirs = await timed(async () => {
      const script = "head -c 200000000 /dev/zero | tr '\\0' 'x' | fold -w 99";
      const args = ['run', '--rm', '--network', 'host', IMAGE, 'bash', '-c', script];
      const [code] = await once(spawn('docker', args, { stdio: 'ignore' }), 'close');
      if (code !== 0) throw new Error(`docker run ended with ${code}`);
    });
    return [
      row('200 MB of output, peak memory', {
        detail: `${(ours / 1000).toFixed(1)} s`,
        value: peak / MEGABYTE,
        bar: 200,
        unit: 'MB',
      }),
      ratioRow('200 MB of output, duration', {
        times: { left: [ours], right: [theirs] },
        bar: null,
        other: 'docker run',
        digits: 0,
      }),
    ];
  });
}

async function peakMemory(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
}

/** Twenty at once: each has its own record and its own log. */
export function manyRuns(world) {
  return serving(world, async (server) => {
    const before = (await server.call('search_action_runs', { limit: 1 })).total;
    let answers = [];
    const wall = await timed(async () => {
      answers = await Promise.all(
        Array.from({ length: 20 }, () => run(server, { action: 'nothing' }, { allow_concurrent: true })),
      );
    });
    answers.forEach(mustSucceed);
    const ids = new Set(answers.map((answer) => answer.run.id));
    const { total } = await server.call('search_action_runs', { limit: 1 });
    const wrong = 20 - ids.size + Math.abs(total - before - 20);
    return [
      row('20 runs at once, wrong records', {
        detail: `${(wall / 1000).toFixed(1)} s`,
        value: wrong,
        bar: 0,
        unit: '',
      }),
    ];
  });
}
