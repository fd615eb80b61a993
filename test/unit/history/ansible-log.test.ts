import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createAnsibleReader, sentenceOf } from '../../../src/history/ansible-log.ts';
import { TEST_IMAGE } from '../../support/images.ts';

function read(log: string) {
  const reader = createAnsibleReader();
  log.split('\n').forEach((line, index) => reader.take(line, index + 1));
  const report = reader.report();
  return { report, sentence: report && sentenceOf(report), lines: reader.lines().lines };
}

const PLAYBOOK = `
- hosts: h1,h2,h3
  connection: local
  gather_facts: false
  tasks:
    - name: Change something
      command: "true"
    - name: Ignored one
      command: "sh -c 'echo nope >&2; exit 3'"
      ignore_errors: true
      when: inventory_hostname == 'h2'
    - block:
        - name: Rescued one
          fail: { msg: first attempt }
          when: inventory_hostname == 'h2'
      rescue:
        - debug: { msg: saved }
    - name: Items
      fail: { msg: "no {{ item }}" }
      loop: [a, b]
      when: inventory_hostname == 'h3' and item == 'b'
    - name: Break it
      command: "sh -c 'echo disk full >&2; exit 4'"
      when: inventory_hostname == 'h1'
- hosts: gone
  gather_facts: false
  tasks:
    - name: Reach it
      ping:
`;

/** What the real ansible-playbook of the toolchain image writes. */
function ansible(env: readonly string[], flags: readonly string[] = [], playbook = PLAYBOOK): string {
  const inventory = 'h1,h2,h3,gone,';
  const vars = ['-e', '{"ansible_ssh_common_args": "-o ConnectTimeout=1"}'];
  const { stdout, stderr } = spawnSync(
    'docker',
    ['run', '--rm', '--network', 'none', '-i', ...env.flatMap((one) => ['-e', one]), TEST_IMAGE, 'ansible-playbook', '/dev/stdin', '-i', inventory, ...vars, ...flags],
    { input: playbook, encoding: 'utf8' },
  ); // prettier-ignore
  return `${stdout}${stderr}`;
}

describe('what the real Ansible writes', () => {
  it.each<[string, string[], string[]]>([
    ['by default', [], []],
    ['in colours', ['ANSIBLE_FORCE_COLOR=1'], []],
    ['as YAML', ['ANSIBLE_CALLBACK_RESULT_FORMAT=yaml'], []],
    ['with -v', [], ['-v']],
    ['with -vvv in YAML', ['ANSIBLE_CALLBACK_RESULT_FORMAT=yaml'], ['-vvv']],
  ])('%s is understood', (_, env, flags) => {
    const { report, sentence, lines } = read(ansible(env, flags));
    const of = (name: string) => report!.recap.find(({ host }) => host === name);
    expect(of('h1')).toMatchObject({ failed: 1, changed: 1, unreachable: 0 });
    expect(of('h2')).toMatchObject({ failed: 0, rescued: 1, ignored: 1 });
    expect(of('gone')).toMatchObject({ unreachable: 1 });
    expect([...report!.changed].sort()).toEqual(['h1', 'h2', 'h3']);
    const failures = report!.failures.map(({ n, message, ...rest }) => {
      expect(n).toBeGreaterThan(0);
      return { ...rest, message: message.slice(0, 40) };
    });
    expect(failures).toEqual([
      { task: 'Ignored one', host: 'h2', kind: 'failed', message: 'non-zero return code: nope', ignored: true },
      { task: 'Rescued one', host: 'h2', kind: 'failed', message: 'first attempt', rescued: true },
      { task: 'Items', host: 'h3', kind: 'failed', message: 'item b: no b' },
      { task: 'Break it', host: 'h1', kind: 'failed', message: 'non-zero return code: disk full' },
      { task: 'Reach it', host: 'gone', kind: 'unreachable', message: expect.stringContaining('Failed to connect') },
    ]);
    expect(sentence).toMatch(/^task "Items" failed on h3: item b: no b \(and 2 more\); 4 hosts; failed: .*; changed: .*; 2 ignored or rescued$/);
    const text = lines.map((line) => line.text).join('\n');
    expect(text).toContain('TASK [Break it]');
    expect(text).not.toContain('TASK [Change something]');
  }); // prettier-ignore

  it('a playbook that cannot be read is a failure of Ansible itself', () => {
    const { sentence } = read(ansible([], [], '- hosts: ['));
    expect(sentence).toMatch(/^Ansible failed: We were unable to read/);
  });

  it('a success says who changed', () => {
    const { sentence } = read(ansible([], [], '- hosts: h1,h2\n  connection: local\n  gather_facts: false\n  tasks:\n    - command: "true"\n')); // prettier-ignore
    expect(sentence).toMatch(/^2 hosts; changed: h\d, h\d$/);
  });
});

describe('recorded shapes', () => {
  it('the json callback is one document', () => {
    const hosts = { web1: { failed: true, msg: 'no space', action: 'copy' }, web2: { changed: true } };
    const log = JSON.stringify(
      {
        custom_stats: {},
        plays: [{ play: { name: 'site' }, tasks: [{ task: { name: 'Copy it' }, hosts }] }],
        stats: { web1: { ok: 0, changed: 0, failures: 1, unreachable: 0 }, web2: { ok: 1, changed: 1, failures: 0 } },
      },
      null,
      4,
    ); // prettier-ignore
    expect(read(`Using /etc/ansible.cfg\n${log}\n`).sentence).toBe(
      'task "Copy it" failed on web1: no space; 2 hosts; failed: web1; changed: web2',
    );
  });

  it('a delegated task is counted for the host of the play', () => {
    const { report } = read('TASK [Dump] ****\nfatal: [web -> db]: FAILED! => {"msg": "denied"}\nPLAY RECAP ****\nweb : ok=0 changed=0 failed=1'); // prettier-ignore
    expect(report!.failures[0]).toMatchObject({ host: 'web', message: 'denied' });
  });

  it('of more failures than are kept each is counted, those that were ignored or rescued apart', () => {
    const failed = (host: string): string => `fatal: [${host}]: FAILED! => {"msg": "no"}`;
    const log = (last: readonly string[]): string =>
      [
        'TASK [Try] ****',
        ...Array.from({ length: 300 }, () => [failed('db'), '...ignoring', failed('web')]).flat(),
        ...last,
        'PLAY RECAP ****',
        'db : ok=1 changed=0 failed=1 rescued=0 ignored=300',
        'web : ok=1 changed=0 failed=0 rescued=300',
      ].join('\n');
    const few = read(log([]));
    expect(few.report).toMatchObject({ total_failures: 600, survived: 600 });
    expect(few.sentence).toBe('2 hosts; failed: db; changed: none; 600 ignored or rescued');
    const { report, sentence } = read(log([failed('db')]));
    expect(report).toMatchObject({ total_failures: 601, survived: 600 });
    expect(report!.failures).toHaveLength(200);
    expect(sentence).toBe('1 failed after the first 200, which were ignored or rescued; 2 hosts; failed: db; changed: none; 600 ignored or rescued');
  }); // prettier-ignore

  it('the multi-line message of the yaml callback is its first line', () => {
    const { report } = read('TASK [Start] ****\nfatal: [web]: FAILED! => changed=false \n  msg: |-\n    Unit web.service not found\n    second line\n'); // prettier-ignore
    expect(report!.failures[0]!.message).toBe('Unit web.service not found');
  });

  it.each(['', 'plain script output\nwith lines', '[ERROR] a build of something else failed', '{\n "a": 1\n}', 'ok: done\nfailed: nothing\n'])(
    '%j is no log of Ansible',
    (log) => expect(read(log)).toMatchObject({ report: null, lines: [] }),
  ); // prettier-ignore

  it('hostile text takes linear time and bounded memory', () => {
    const began = performance.now();
    const lines = [
      'PLAY RECAP ****',
      `a${'=1'.repeat(50_000)}`,
      `${'x'.repeat(50_000)} ${'] '.repeat(20_000)}***`,
      `host : ${'a=11'.repeat(200)}!`,
      `fatal: [${'('.repeat(100_000)}`,
      ...Array.from({ length: 20_000 }, (_, n) => `fatal: [h${n}]: FAILED! => {"msg": "no"}`),
    ];
    const { report, lines: kept } = read(lines.join('\n'));
    expect(report!.failures.length).toBeLessThanOrEqual(200);
    expect(kept.length).toBeLessThanOrEqual(4_000);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
