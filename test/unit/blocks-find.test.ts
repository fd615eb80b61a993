import { describe, expect, test } from 'vitest';
import { findAction } from '../../src/blocks/find.ts';
import type { Action, Block } from '../../src/blocks/block.ts';
import type { AppError } from '../../src/shared/errors.ts';
import { findBlock, findWorkflow, findWorkspace } from '../../src/workspaces/find.ts';
import type { Workspace } from '../../src/workspaces/workspace.ts';

const containing = (expected: string): unknown => expect.stringContaining(expected);

const block = (name: string, version: string | null = null): Block =>
  ({ name, version, alias: [], actions: [] }) as unknown as Block;
const workspace = (organization: string | null, name: string, blocks: Block[] = []): Workspace =>
  ({
    organization,
    name,
    blocks,
    path: `/w/${name}`,
    alias: [],
    workflows: [{ name: 'release' }],
  }) as unknown as Workspace;

function refusal(call: () => unknown): AppError {
  try {
    call();
  } catch (error) {
    return error as AppError;
  }
  return expect.fail('was not refused');
}

describe('workspaces', () => {
  const known = [
    workspace('acme', 'shop'),
    workspace('acme', 'lab'),
    workspace('beta', 'shop'),
    workspace(null, 'home'),
  ];

  test('by name, by address, and by address without organization', () => {
    expect(findWorkspace(known, 'lab')).toBe(known[1]);
    expect(findWorkspace(known, 'beta/shop')).toBe(known[2]);
    expect(findWorkspace(known, '-/home')).toBe(known[3]);
  });

  test('an ambiguous name lists the addresses, an unknown one the closest', () => {
    expect(refusal(() => findWorkspace(known, 'shop'))).toMatchObject({
      code: 'ambiguous_name',
      valid: ['acme/shop', 'beta/shop'],
    });
    const unknown = refusal(() => findWorkspace(known, 'hom'));
    expect(unknown).toMatchObject({ code: 'unknown_name', next: containing('list_workspaces') });
    expect(unknown.valid?.[0]).toBe('home');
  });

  test('what is no name is refused as an argument', () => {
    expect(refusal(() => findWorkspace(known, '../shop')).code).toBe('invalid_argument');
    expect(refusal(() => findWorkspace([], 'shop'))).toMatchObject({ code: 'unknown_name', valid: [] });
  });
});

describe('blocks', () => {
  const shop = workspace('acme', 'shop', [
    block('db', '1.10'),
    block('cargo.example.com/acme/web', '2'),
    block('one.example/x'),
    block('two.example/x'),
  ]);

  test('by name, with version, and without registry host', () => {
    expect(findBlock(shop, 'db').name).toBe('db');
    expect(findBlock(shop, 'db:1.10').name).toBe('db');
    expect(findBlock(shop, 'acme/web:2').name).toBe('cargo.example.com/acme/web');
  });

  test('refusals say what would have been valid', () => {
    expect(refusal(() => findBlock(shop, 'db:1.1'))).toMatchObject({
      code: 'unknown_name',
      valid: ['db:1.10'],
    });
    expect(refusal(() => findBlock(shop, 'x'))).toMatchObject({
      code: 'ambiguous_name',
      valid: ['one.example/x', 'two.example/x'],
    });
    expect(refusal(() => findBlock(shop, 'webb')).valid?.[0]).toBe('cargo.example.com/acme/web');
    expect(refusal(() => findBlock(shop, 'db;rm')).code).toBe('invalid_argument');
  });
});

describe('actions and workflows', () => {
  const action = (name: string, alias: string[] = []): Action => ({ name, alias }) as unknown as Action;
  const db = {
    ...block('db'),
    actions: [action('restart', ['r', 'both']), action('reload', ['both', 'restart'])],
  };

  test('the exact name wins over an alias', () => {
    expect(findAction(db, 'restart').name).toBe('restart');
    expect(findAction(db, 'r').name).toBe('restart');
  });

  test('refusals say what would have been valid', () => {
    expect(refusal(() => findAction(db, 'both'))).toMatchObject({
      code: 'ambiguous_name',
      valid: ['restart', 'reload'],
    });
    const unknown = refusal(() => findAction(db, 'restat'));
    expect(unknown).toMatchObject({ code: 'unknown_name', next: containing('get_block') });
    expect(unknown.valid?.[0]).toBe('restart');
    expect(refusal(() => findWorkflow(workspace('acme', 'shop'), 'relase')).valid).toEqual(['release']);
  });
});
