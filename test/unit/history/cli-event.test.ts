import { describe, expect, it } from 'vitest';
import { cliRun } from '../../../src/history/cli-event.ts';
import type { Workspace } from '../../../src/workspaces/workspace.ts';

const WORKSPACE = { name: 'shop', organization: 'acme', path: '/srv/shop', environment: null } as Workspace;
const EVENT = { transaction: 't', date: '2025-05-22T10:00:00Z', block: 'db', action: 'restart' };
const read = (event: object, secrets: string[] = []) =>
  cliRun({ event: { ...EVENT, ...event }, secrets }, WORKSPACE, []);

describe('an event of the CLI', () => {
  it('is a success without an exit code, and a failure by code or level', () => {
    expect(read({})!.run.record).toMatchObject({ status: 'success', exit_code: 0, finished_at: null });
    expect(read({ exit_code: 1 })!.run.record).toMatchObject({ status: 'failed', exit_code: 1 });
    const error = read({ labels: { 'monk.event.level': 'Error' } });
    expect(error!.run.record).toMatchObject({ status: 'failed', exit_code: null });
  });

  it('is no run without block and action', () => {
    expect(read({ action: undefined })).toBeNull();
    expect(read({ block: '' })).toBeNull();
  });

  it('takes what is of another form for unknown, and only refuses what identifies it', () => {
    const odd = read({
      user_email: ['x'],
      version: 1.5,
      snapshot: 'none',
      block: { name: 'db' },
    });
    expect(odd!.run.record).toMatchObject({ principal: null, cli_version: '1.5', exit_code: 0, block: 'db' });
    expect(() => read({ exit_code: 'x' })).toThrow('exit_code: is not a whole number');
    expect(() => read({ date: 'never' })).toThrow('date: is not a time');
    expect(() => cliRun({ event: { date: EVENT.date }, secrets: [] }, WORKSPACE, [])).toThrow(
      /^transaction: /,
    );
    expect(() => cliRun({ event: null, secrets: [] }, WORKSPACE, [])).toThrow();
  });

  it('cleans its fields of the secrets of its own snapshot', () => {
    const { run } = read({ user_name: 'Bea Zq81-vvT0p-99aKe' }, ['Zq81-vvT0p-99aKe'])!;
    expect(JSON.stringify(run)).not.toContain('Zq81');
  });
});
