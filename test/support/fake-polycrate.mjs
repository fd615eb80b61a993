#!/usr/bin/env node
// A fake of the Polycrate CLI, which cannot be had here: it takes the arguments, asks the questions, merges the
// streams and flattens the exit codes as the real one does (polycrate-cli facts 1.5, 4, 5.5 and 8). It is called
// through a link in a folder of the test's, where `fake.json` says which release it plays and `calls.jsonl` gets
// what it was given.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, fstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';

const here = dirname(process.argv[1]);
const NEW_FLAGS = ['--api-enabled', '--no-api-submit-action-runs'];
const release = {
  version: '0.40.0',
  flags: NEW_FLAGS,
  /** Image of the container that actions run in; null: on this host. */
  image: null,
  ...(existsSync(join(here, 'fake.json')) && JSON.parse(readFileSync(join(here, 'fake.json'), 'utf8'))),
};
const args = process.argv.slice(2);
const txid = randomUUID();
const stdin = fstatSync(0);
const seen = {
  args,
  env: process.env,
  cwd: process.cwd(),
  stdin: stdin.isCharacterDevice() ? 'null' : 'open',
};
appendFileSync(join(here, 'calls.jsonl'), `${JSON.stringify(seen)}\n`);

if (args[0] === 'version') {
  console.log(`${release.version}\n52adf16 2026-05-09`);
} else if (args[0] === 'run' && args.includes('--help')) {
  console.log(
    [
      'Flags:',
      '  -w, --workspace string   path',
      '  -f, --force',
      '  -l, --local',
      '      --runtime-dir string',
    ]
      .concat(release.flags.map((flag) => `      ${flag}`))
      .join('\n'),
  );
} else if (args[0] === 'run') {
  run(args.slice(1));
} else {
  fatal(`unknown command "${args[0]}"`);
}

function fatal(message) {
  process.stderr.write(
    `time="2026-05-09T10:00:00Z" level=fatal msg=${JSON.stringify(message)} txid=${txid}\n`,
  );
  process.exit(1);
}

function run(rest) {
  const known = Object.fromEntries(release.flags.map((flag) => [flag.slice(2), { type: 'boolean' }]));
  let call;
  try {
    call = parseArgs({
      args: rest,
      allowPositionals: true,
      options: {
        ...{ workspace: { type: 'string', short: 'w' }, 'runtime-dir': { type: 'string' } },
        ...{ force: { type: 'boolean', short: 'f' }, local: { type: 'boolean', short: 'l' } },
        ...known,
      },
    });
  } catch (error) {
    return fatal(`unknown flag: ${error.message}`);
  }
  const { values, positionals } = call;
  const workspace = values.workspace ?? process.cwd();
  const [blockName, actionName] = positionals;
  const declared = parse(readFileSync(join(workspace, 'workspace.poly'), 'utf8'));
  const block = blockOf(workspace, blockName, declared);
  const action = block?.actions?.find(({ name }) => name === actionName);
  if (!action) return fatal(`action not found: ${positionals.join(' ')}`);
  const asks = action.prompt?.message;
  if (asks && !values.force) {
    // Without a terminal the answer is the default.
    process.stdout.write(`${asks} (y/n) [n]: n\n`);
    return fatal('aborted by user');
  }
  const runtime = join(values['runtime-dir'] ?? join(homedir(), '.polycrate', 'run'), txid);
  mkdirSync(runtime, { recursive: true });
  writeFileSync(
    join(runtime, `${txid}-workspace-snapshot.yml`),
    JSON.stringify({ block: block.config ?? {} }),
  );
  process.stdout.write(`REGISTERED CURRENT BLOCK ${blockName}`);
  start(workspace, (action.script ?? []).join('\n'));
}

function blockOf(workspace, name, declared) {
  const file = join(workspace, 'blocks', name, 'block.poly');
  if (existsSync(file)) return parse(readFileSync(file, 'utf8'));
  return declared.blocks?.find((block) => block.name === name);
}

/** In a process group of its own, both streams copied to stdout, every failure an exit code of 1. */
function start(workspace, script) {
  const inside = ['bash', '-euo', 'pipefail', '-c', script];
  const [program, ...rest] = release.image === null ? inside : ['docker', ...container(workspace), ...inside];
  const child = spawn(program, rest, { cwd: workspace, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const merge = (chunk) => process.stdout.write(String(chunk).replaceAll(/\r?\n/g, '\r\n'));
  child.stdout.on('data', merge);
  child.stderr.on('data', merge);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      try {
        process.kill(-child.pid, 'SIGINT');
      } catch {
        // It has ended.
      }
      setTimeout(() => process.exit(1), 1000);
    });
  }
  child.on('close', (code) => {
    if (code === 0) process.exit(0);
    fatal(`exit status ${code}`);
  });
}

function container(workspace) {
  return [
    ...[
      'run',
      '--rm',
      '--name',
      `polycrate-${txid}`,
      '--label',
      `polycrate.txid=${txid}`,
      '-t',
      '--network=host',
    ],
    ...['-v', `${workspace}:/workspace`, '--workdir', '/workspace', release.image],
  ];
}
