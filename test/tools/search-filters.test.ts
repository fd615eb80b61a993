import { describe, expect, it } from 'vitest';
import { useSearchServer } from '../support/search-server.ts';

const { search, refused } = useSearchServer();

describe('what an answer rests on', () => {
  it('says which field of a run matched a name that several fields may have', async () => {
    expect((await search({ user: ['ALICE', 'ci'], limit: 100 })).matched).toEqual({
      user: { alice: { person: 18 }, ci: { os_user: 15 } },
    });
    expect((await search({ block_version: '15', limit: 100 })).matched).toEqual({ block_version: { 15: { app_version: 12 } } });
    expect((await search({ block: 'acme/db:1.2.0' })).matched.block_version['1.2.0'].block_version).toBeGreaterThan(0);
    expect(await search()).not.toHaveProperty('matched');
  });

  it('shows the organization of a row where there is more than one', async () => {
    const { runs } = await search({ limit: 100 });
    expect(new Set(runs.map(({ organization }: any) => organization))).toEqual(new Set(['acme', 'globex']));
    expect((await search({ organization: 'acme' })).runs[0]).not.toHaveProperty('organization');
  });

  it('says who vouches for the names, once for all rows', async () => {
    expect((await search({ limit: 30 })).evidence).toEqual([{ authenticated: 'principal', claimed: 'client, reason', runs: 30 }]);
  });

  it('echoes blocks as history names them', async () => {
    expect((await search({ block: 'acme/db:1.2.0' })).filters).toMatchObject({
      block: ['cargo.example.com/acme/db'],
      block_version: '1.2.0',
    });
  });
}); // prettier-ignore

describe('what no run can satisfy', () => {
  it.each([
    [{ status: 'success', exit_code: 2 }, 'exit code 0'],
    [{ status: ['running', 'pending'], exit_code: 0 }, 'no exit code'],
    [{ status: 'running', time_field: 'finished', since: '30d' }, 'has not finished'],
    [{ organization: 'globex', workspace: 'acme/platform' }, 'another organization'],
    [{ block: ['acme/db:1.2.0', 'acme/db:1.1.0'] }, 'one block version'],
    [{ block: 'acme/db:1.2.0', block_version: '15' }, 'one block version'],
  ])('%j is refused instead of answered with none', async (args, words) => {
    const error = await refused(args);
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(words) });
    expect(error.next).not.toBe('');
  });

  it('a workspace name that two organizations have is refused with both', async () => {
    expect(await refused({ workspace: 'platform' })).toMatchObject({
      code: 'ambiguous_name',
      valid: ['acme/platform', 'globex/platform'],
    });
    expect((await refused({ workspace: ['shop', 'platform'] })).code).toBe('ambiguous_name');
    expect(await refused({ workspace: 'quiet', organization: 'acme' })).toMatchObject({
      code: 'unknown_name',
      valid: ['initech/quiet'],
    });
  });
});
