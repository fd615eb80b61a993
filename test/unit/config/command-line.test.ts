import { describe, expect, it } from 'vitest';
import { helpText, parseConfig, type Invocation } from '../../../src/config.ts';

function parse(...argv: string[]): Invocation {
  return parseConfig({
    argv,
    env: { POLYCRATE_MCP_PULL: 'never' },
    cwd: '/',
    home: '/root',
    timezone: 'UTC',
  });
}

describe('commands', () => {
  it.each([
    [[], 'stdio', []],
    [['demo'], 'demo', []],
    [['doctor', '--run-mode', 'trusted'], 'doctor', []],
    [['supervise', 'a', 'b'], 'supervise', ['a', 'b']],
    [['--help'], 'help', []],
    [['-h', 'demo'], 'help', []],
    [['help'], 'help', []],
    [['--version'], 'version', []],
    [['-v'], 'version', []],
  ] as const)('%j is %s', (argv, command, args) => {
    expect(parse(...argv)).toMatchObject({ command, args });
  });

  it('refuse strangers with the closest name', () => {
    expect(() => parse('docter')).toThrow('"docter" is not a command. Did you mean doctor?');
    expect(() => parse('demo', 'please')).toThrow('demo takes no arguments');
  });

  it('have verbs with flags of their own', () => {
    expect(parse('ledger', 'verify', '--anchor', 'a.json', '--json', '--pull=always')).toMatchObject({
      command: 'ledger',
      verb: 'verify',
      args: [],
      options: { anchor: 'a.json', json: 'true' },
      config: { pull: 'always' },
      flags: ['--pull=always'],
    });
    expect(parse('--anchor=a', 'ledger', 'verify').options).toEqual({ anchor: 'a' });
    expect(() => parse('ledger', 'verify', '--anchor')).toThrow('--anchor needs a value');
    expect(() => parse('demo', '--json')).toThrow('--json is not a flag of demo');
    expect(() => parse('ledger', 'toString')).toThrow('is nothing that ledger can do');
    expect(() => parse('--toString')).toThrow('--toString is not a flag');
    expect(helpText()).toContain('ledger verify');
  });

  it('help even where settings are broken', () => {
    const broken = { argv: ['--help'], env: { POLYCRATE_MCP_PULL: 'x' }, cwd: '/', home: '/root' };
    expect(parseConfig(broken).command).toBe('help');
    expect(helpText()).toContain('--run-mode');
    expect(helpText()).toContain('doctor');
  });
});

describe('flags', () => {
  it('take their value with and without =, the last one wins', () => {
    expect(parse('--run-mode', 'trusted').config.runMode).toBe('trusted');
    expect(parse('--run-mode=read-only').config.runMode).toBe('read-only');
    expect(parse('--pull', 'always', '--pull=missing').config.pull).toBe('missing');
  });

  it('that switch need no value', () => {
    expect(parse('--mount-docker-socket').config.mountDockerSocket).toBe(true);
    expect(parse('--mount-docker-socket=false').config.mountDockerSocket).toBe(false);
  });

  it('refuse a missing value instead of swallowing the next flag', () => {
    expect(() => parse('--run-mode')).toThrow('--run-mode needs a value');
    expect(() => parse('--run-mode', '--pull=never')).toThrow('--run-mode needs a value');
  });

  it('refuse strangers with the closest name', () => {
    expect(() => parse('--runmode=ask')).toThrow('--runmode is not a flag. Did you mean --run-mode?');
    expect(() => parse('-x')).toThrow('-x is not a flag');
    // Only variables of our own have flags.
    expect(() => parse('--docker-host=x')).toThrow('is not a flag');
  });
});
