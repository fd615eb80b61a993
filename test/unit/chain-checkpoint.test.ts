import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  checkSignature,
  keyId,
  parseCheckpoint,
  signCheckpoint,
  type CheckpointKeys,
} from '../../src/ledger/checkpoint.ts';

function newKeys(): CheckpointKeys & { privateKey: NonNullable<CheckpointKeys['privateKey']> } {
  const pair = generateKeyPairSync('ed25519');
  return { ...pair, id: keyId(pair.publicKey) };
}

const keys = newKeys();
const state = { ledger: 'l-1', size: 3, head: 'a'.repeat(64), root: 'b'.repeat(64), at: 1_700_000_000_000 };
const checkpoint = signCheckpoint(state, keys);

describe('a checkpoint', () => {
  it('survives being written down', () => {
    const read = parseCheckpoint(JSON.stringify(checkpoint, null, 2));
    expect(read).toEqual(checkpoint);
    expect(checkSignature(read, keys)).toBe('valid');
  });

  it.each([
    ['ledger', 'l-2'],
    ['size', 2],
    ['head', 'c'.repeat(64)],
    ['root', 'c'.repeat(64)],
    ['at', 5],
  ])('with another %s has no valid signature', (name, value) => {
    expect(checkSignature({ ...checkpoint, [name]: value }, keys)).toBe('invalid');
  });

  it('of another key is known to be such', () => {
    expect(checkSignature(checkpoint, newKeys())).toBe('unknown_key');
    const other = newKeys();
    const claimed = { ...signCheckpoint(state, other), key_id: keys.id };
    expect(checkSignature(claimed, keys)).toBe('invalid');
  });

  it.each([
    '',
    '[]',
    '{}',
    JSON.stringify({ ...checkpoint, more: 1 }),
    JSON.stringify({ ...checkpoint, size: -1 }),
  ])('is not %s', (text) => expect(() => parseCheckpoint(text)).toThrow('this is no checkpoint'));
});
