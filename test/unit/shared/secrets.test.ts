import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSecretKey, MASK, maskSecrets, secretValues } from '../../../src/shared/secrets.ts';

describe('isSecretKey', () => {
  it.each(['password', 'db_password', 'DB_PASSWD', 'passphrase', 'apiKey', 'api_key', 'hcloud_token', 'tokens', 'secret', 'clientSecret', 'private_key', 'credentials'])(
    '%s is one',
    (key) => void expect(isSecretKey(key)).toBe(true),
  ); // prettier-ignore
  it.each(['user', 'port', 'monkey', 'password_length', 'tokenizer', 'secretary', 'key', 'keyboard'])(
    '%s is none',
    (key) => void expect(isSecretKey(key)).toBe(false),
  );
});

describe('maskSecrets', () => {
  it('masks whole values of secret keys at any depth, and leaves the original alone', () => {
    const config = {
      password: 'p',
      nested: { list: [{ token: 't' }, { name: 'n' }], api_key: { value: 'v' } },
      tokens: ['a', 'b'],
      empty_password: '',
      no_password: null,
      use_token: true,
      reference_password: '{{ vault.password }}',
      port: 5432,
    };
    const before = structuredClone(config);
    expect(maskSecrets(config)).toEqual({
      password: MASK,
      nested: { list: [{ token: MASK }, { name: 'n' }], api_key: MASK },
      tokens: MASK,
      empty_password: '',
      no_password: null,
      use_token: true,
      reference_password: '{{ vault.password }}',
      port: 5432,
    });
    expect(config).toEqual(before);
  });

  it('leaves no secret value, whatever the structure', () => {
    const secret = 'S3CR3T-VALUE';
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>('plain', 1, null, true),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'nested'), tie('node'), { maxKeys: 3 }),
        fc.dictionary(fc.constantFrom('password', 'x_token'), fc.constantFrom<unknown>(secret, [secret], { v: secret })),
      ),
    })).node; // prettier-ignore
    fc.assert(
      fc.property(tree, (value) => void expect(JSON.stringify(maskSecrets(value))).not.toContain(secret)),
    );
  });
});

it('secretValues finds the values that maskSecrets hides', () => {
  expect(secretValues({ password: 'a', n: { token: ['b', { x: 'c' }], port: 'd' }, api_key: '{{ e }}', url: 'postgres://app:d4@db/x' })).toEqual(['a', 'b', 'c', 'd4']); // prettier-ignore
});
