import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, expect } from 'vitest';
import { reachOf } from '../../src/actions/reach.ts';
import { findAction } from '../../src/blocks/find.ts';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import { describeWithEngine } from '../support/engine.ts';
import { TEST_IMAGE } from '../support/images.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';
import { it } from 'vitest';

// The hosts that a plan tells are those that the real `ansible-playbook --list-hosts` tells.

const INI = `
# comment
lonely.example
gw-[a:c].example:2222 ansible_user=x

[web]
web[01:12].example
extra#comment
[db] # the databases
db1 ansible_host=10.0.0.1 note="two words" path='a b'
db2
[cache]
cache[0:6:2]
db2
[eu:children]
web
later
[later]
db[3:4]-x[1:2]
[all:vars]
a=b
[eu:vars]
c = d
[data:children]
db
cache
[empty]
`;
const YAML = `
all:
  hosts:
    lonely.example:
    gw-[a:c].example:2222: { ansible_user: x }
  children:
    eu:
      children:
        web: { hosts: { "web[01:12].example": } }
        later: { hosts: { "db[3:4]-x[1:2]": { ansible_port: 3 } } }
    data:
      children:
        db: { hosts: { db1: { ansible_host: 10.0.0.1 }, db2: } }
        cache: { hosts: { "cache[0:6:2]": , db2: } }
    empty:
web: { hosts: extra }
standalone: { vars: { x: 1 }, hosts: { "[2001:db8::1]:22": , 10.1.1.1: } }
`;
const PATTERNS = [
  'all', '*', 'web', 'eu', 'eu:data', 'eu,data', 'eu:!web', 'all:!eu:!data', '!web', '&db', 'db:&cache', 'data:&cache:!db1',
  'web[0]', 'web[-1]', 'web[0:2]', 'web[1:]', 'web[0:0]', 'eu[2:4]', 'web*', '*.example', '*.example:!web*', 'web0[1-3].example', 'web0[!1-3].example',
  'web?1.example', 'gw-?.example', '~web\\d+\\.example', '~(web|db).*', '~^db[12]$', 'db1', 'db1,db2', 'db1:db2', 'lonely.example', 'ungrouped',
  'localhost', '127.0.0.1', 'nothing', 'nothing:db1', 'empty', 'later', 'cache[1:2]', 'db2:cache', 'all[0:3]', 'cache:db', ' db1 , db2 ', 'data:&cache', 'eu:&web*:!web0*',
  '10.1.1.1', 'standalone', 'db[12]', 'x', 'web01.example:web02.example', 'all,!db1,&data',
]; // prettier-ignore

const BAD: readonly [string, string][] = [
  ['a range without an end', 'web[1:]\n'],
  ['no such child', '[a:children]\nb\n'],
  ['variables of nobody', '[a:vars]\nx=1\n'],
  ['an unknown section', '[a:things]\nx\n'],
  ['a space in a name', '[a b]\nx\n'],
  ['words behind a host', 'db1 up\n'],
  ['an open quotation', 'db1 a="b\n'],
  ['a circle', '[a:children]\nb\n[b:children]\na\n[a]\nh\n'],
  ['widths that differ', 'web[01:100]\n'],
  ['a list', 'all: { hosts: [a, b] }\n'],
  ['a stranger as child', 'all: { children: { a: text } }\n'],
];

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: false });
});
afterEach(() => folder.remove());

interface Case {
  inventory: string;
  filename?: string;
  playbooks: Record<string, string>;
  config?: unknown;
}

async function write({ inventory, filename = 'inventory.yml', playbooks, config = {} }: Case): Promise<void> {
  const actions = Object.keys(playbooks).map((name, n) => ({ name: `go${n}`, playbook: name }));
  await folder.write('w/workspace.poly', JSON.stringify({ name: 'works', organization: 'acme', inventory: { filename } })); // prettier-ignore
  await folder.write('w/blocks/b/block.poly', JSON.stringify({ name: 'bb', config, actions }));
  await folder.write(`w/${filename}`, inventory);
  for (const [name, text] of Object.entries(playbooks)) await folder.write(`w/blocks/b/${name}`, text);
}

/** What we say for each playbook: hosts, sorted, or null. */
async function told(count: number): Promise<(string[] | null)[]> {
  const store = folder.store();
  const workspace = findWorkspace(await store.list(), 'works');
  const block = findBlock(workspace, 'bb');
  const files = await store.inspect(workspace, block);
  return Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const action = findAction(block, `go${n}`);
      const snapshot = { workspace: { name: 'works' }, block: { config: block.config }, action: {} };
      const plays = await store.plays(workspace, block, action);
      const { hosts, note } = await reachOf(action, files, { plays, snapshot });
      if (hosts === null) expect(note).toEqual(expect.stringMatching(/./));
      return hosts && [...hosts].sort();
    }),
  );
}

/** What Ansible says of each playbook with its inventory; null where it refuses. One container for all. */
async function listed(
  names: readonly string[],
  filename: string | readonly string[],
  config: unknown,
): Promise<(string[] | null)[]> {
  const inventories = names.map(
    (_, n) => `/workspace/${typeof filename === 'string' ? filename : filename[n]}`,
  );
  await folder.write('w/vars.json', JSON.stringify({ workspace: { name: 'works' }, block: { config }, action: {} })); // prettier-ignore
  await folder.write('w/list.py', LIST);
  const { stdout } = await promisify(execFile)('docker', [
    ...[
      'run',
      '--rm',
      '--network',
      'none',
      '-v',
      `${folder.path('w')}:/workspace`,
      '-w',
      '/workspace/blocks/b',
    ],
    ...['-e', 'ANSIBLE_INVENTORY_ENABLED=yaml,hcloud,host_list,script,auto,ini,toml'],
    ...[TEST_IMAGE, 'python3', '/workspace/list.py', ...names.flatMap((name, n) => [name, inventories[n]!])],
  ]);
  const answers = JSON.parse(stdout) as (string[] | null)[];
  return answers.map((hosts) => hosts && [...new Set(hosts)].sort());
}

/** ansible-playbook itself, forked once it is loaded: starting it anew takes a second each. */
const LIST = `
import json, os, re, sys
from ansible.cli.playbook import PlaybookCLI
def answer(name, inventory, out):
    os.dup2(out, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    code = 1
    try:
        cli = PlaybookCLI(['ansible-playbook', '--list-hosts', '-i', inventory, '-e', '@/workspace/vars.json', name])
        cli.parse()
        code = cli.run()
        sys.stdout.flush()
    finally:
        os._exit(code)
answers = []
for name, inventory in zip(sys.argv[1::2], sys.argv[2::2]):
    incoming, out = os.pipe()
    child = os.fork()
    if child == 0:
        answer(name, inventory, out)
    os.close(out)
    text = os.fdopen(incoming).read()
    code = os.waitpid(child, 0)[1]
    answers.append(re.findall(r'^      (\\S+)$', text, re.M) if code == 0 else None)
print(json.dumps(answers))
`;

const play = (hosts: unknown, more = ''): string =>
  `- hosts: ${JSON.stringify(hosts)}\n  gather_facts: false\n${more}`;

describeWithEngine('hosts of a plan, as Ansible lists them', () => {
  it.each([
    ['INI', { inventory: INI, filename: 'inventory' }],
    ['INI in inventory.yml', { inventory: INI, filename: 'inventory.yml' }],
    ['YAML', { inventory: YAML, filename: 'inventory.yml' }],
  ])(
    '%s, a table of patterns',
    async (_name, inventory) => {
      const playbooks = Object.fromEntries(PATTERNS.map((pattern, n) => [`p${n}.yml`, play(pattern)]));
      await write({ ...inventory, playbooks });
      const ours = await told(PATTERNS.length);
      const theirs = await listed(Object.keys(playbooks), inventory.filename, {});
      const table = (hosts: (string[] | null)[]) => Object.fromEntries(PATTERNS.map((pattern, n) => [pattern, hosts[n]])); // prettier-ignore
      expect(table(ours)).toEqual(table(theirs));
      expect(theirs.filter((hosts) => hosts !== null && hosts.length > 0).length).toBeGreaterThan(35);
    },
    120_000,
  );

  it('any combination of patterns', async () => {
    const atom = fc.constantFrom(...PATTERNS.filter((pattern) => !/[\s,]|^[!&]/.test(pattern)));
    const term = fc.tuple(fc.constantFrom('', '', '!', '&'), atom).map(([sign, name]) => sign + name);
    const some = fc.tuple(fc.constantFrom(':', ','), fc.array(term, { minLength: 1, maxLength: 4 }));
    const pattern = fc.oneof(some.map(([by, terms]) => terms.join(by)), fc.array(term, { minLength: 1, maxLength: 3 })); // prettier-ignore
    const patterns = fc.sample(pattern, { numRuns: 100, seed: 20251125 });
    const playbooks = Object.fromEntries(patterns.map((one, n) => [`p${n}.yml`, play(one)]));
    await write({ inventory: INI, playbooks });
    const ours = await told(patterns.length);
    const theirs = await listed(Object.keys(playbooks), 'inventory.yml', {});
    patterns.forEach((one, n) => expect({ one, hosts: ours[n] }).toEqual({ one, hosts: theirs[n] }));
  }, 120_000);

  it('templates that configuration decides, several plays, imports', async () => {
    const config = { target: 'db', list: ['db1', 'web01.example'], nested: { 'a-b': 'cache' }, n: 1 };
    const playbooks: Record<string, string> = {
      'a.yml': play('{{ block.config.target }}'),
      'b.yml': play("{{ block['config'].list }}"),
      'c.yml': play("{{block.config.nested['a-b']}}:&db"),
      'd.yml': play("{{ block.config.absent | default('web') }}"),
      'e.yml': play('{{ mine }}', '  vars: { mine: later }\n'),
      'f.yml': play('db{{ block.config.n }}'),
      'g.yml': play('{{ block.config.list[1] }}'),
      'h.yml': `${play('web')}- import_playbook: a.yml\n- ansible.builtin.import_playbook: sub/z.yml\n  vars: { mine: cache }\n`,
      'sub/z.yml': `${play('{{ mine }}', '  vars: { mine: db }\n')}- import_playbook: ../b.yml\n`,
      'i.yml': play(['db', '!db2']),
      'j.yml': play("{{ unheard | default('db1') }}"),
    };
    // z.yml alone is read as well: without its importer, its own variable counts.
    await write({ inventory: INI, playbooks, config });
    const ours = await told(Object.keys(playbooks).length);
    const theirs = await listed(Object.keys(playbooks), 'inventory.yml', config);
    expect(ours).toEqual(theirs);
    expect(ours.every((hosts) => hosts !== null && hosts.length > 0)).toBe(true);
  }, 120_000);

  it('files that Ansible does not take either', async () => {
    for (const [n, [, text]] of BAD.entries()) await folder.write(`w/bad${n}.yml`, text);
    const playbooks = { 'p.yml': play('all') };
    await write({ inventory: INI, playbooks });
    const theirs = await listed(BAD.map(() => 'p.yml'), BAD.map((_, n) => `bad${n}.yml`), {}); // prettier-ignore
    for (const [n, [what, inventory]] of BAD.entries()) {
      expect({ what, hosts: theirs[n] ?? [] }).toEqual({ what, hosts: [] });
      await write({ inventory, playbooks });
      expect({ what, hosts: await told(1) }).toEqual({ what, hosts: [null] });
    }
  }, 120_000);
});

it.each([
  ['- hosts: "{{ x }}"\n  vars_files: [v.yml]\n', /p\.yml:1: hosts \{\{ x \}\} is known only when it runs/],
  ['- hosts: "{{ groups.web }}"\n', /known only when it runs/],
  ["- hosts: \"{{ lookup('env', 'X') }}\"\n", /known only when it runs/],
  ['- hosts: "{{ x | default(\'all\') }}"\n  roles: [r]\n', /known only when it runs/],
  ['- hosts: "~(?<=a)b"\n', /regular expression that only Python reads/],
  ['- name: none\n', /names no hosts/],
  ['- import_playbook: "{{ x }}.yml"\n', /imports \{\{ x \}\}\.yml, known only when it runs/],
  ['- import_playbook: /etc/p.yml\n', /no file beside it/],
  ['- import_playbook: ../../../out.yml\n', /not a path inside the workspace/],
  ['- import_playbook: p.yml\n', /in a circle/],
  ['- import_playbook: gone.yml\n', /gone\.yml is not there/],
  ['hosts: all\n', /no list of plays/],
  ['- hosts: [\n', /p\.yml:\d/],
  ['$ANSIBLE_VAULT;1.1;AES256\n62\n', /Ansible Vault/],
])('a playbook that only Ansible can read says so: %j', async (text, why) => {
  await write({ inventory: INI, playbooks: { 'p.yml': text } });
  const store = folder.store();
  const workspace = findWorkspace(await store.list(), 'works');
  const block = findBlock(workspace, 'bb');
  const action = findAction(block, 'go0');
  const plays = await store.plays(workspace, block, action);
  const files = await store.inspect(workspace, block);
  const reach = await reachOf(action, files, { plays, snapshot: {} });
  expect(reach).toMatchObject({ hosts: null, note: expect.stringMatching(why) });
});
