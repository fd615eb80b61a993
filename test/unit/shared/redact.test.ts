import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOutputCleaner } from '../../../src/shared/redact/output-cleaner.ts';
import { createRedaction, withoutNames } from '../../../src/shared/redact/redaction.ts';
import { createRedactor } from '../../../src/shared/redact/redactor.ts';
import { redactText } from '../../../src/shared/redact/text.ts';
import { MASK } from '../../../src/shared/secrets.ts';

const mask = (values: string[], text: string): string => createRedactor(values).mask(text);
const VALUE = 'Tr0ub4dor&3 "x/y\'';

describe('known values', () => {
  it('are masked whole from eight characters on, the longest of several', () => {
    expect(mask(['correct', 'correct-horse', 'correct-horse-battery'], 'correct-horse-battery correct-horse correct')).toBe(`${MASK} ${MASK} correct`); // prettier-ignore
  });

  it('are text, not expressions', () => {
    expect(mask(['a.c+(d)[e]|$^'], 'a.c+(d)[e]|$^ abc+(d)[e]|$^')).toBe(`${MASK} abc+(d)[e]|$^`);
    expect(mask(['.*.*.*.*.*'], 'untouched text')).toBe('untouched text');
  });

  it('that overlap leave nothing between them', () => {
    expect(mask(['abcdefgh', 'efghijkl'], '-abcdefghijkl-')).toBe(`-${MASK}-`);
  });

  it.each([
    ['JSON', JSON.stringify(VALUE)],
    ['JSON within JSON', JSON.stringify(JSON.stringify(VALUE))],
    ['Python', "'Tr0ub4dor&3 \"x/y\\''"],
    ['YAML', "'Tr0ub4dor&3 \"x/y'''"],
    ['a shell', `'Tr0ub4dor&3 "x/y'\\'''`],
    ['printf %q', `Tr0ub4dor\\&3\\ \\"x/y\\'`],
    ['HTML', `Tr0ub4dor&amp;3 "x/y'`],
    ['URL', encodeURIComponent(VALUE)],
    ['Python URL', 'Tr0ub4dor%263%20%22x/y%27'],
    ['form', new URLSearchParams({ q: VALUE }).toString()],
    ['URL in lower case', encodeURIComponent(VALUE).toLowerCase().replace('tr0ub', 'Tr0ub')],
    ['hex', Buffer.from(VALUE).toString('hex')],
    ['HEX', Buffer.from(VALUE).toString('hex').toUpperCase()],
    ['base64', Buffer.from(VALUE).toString('base64')],
    ['base64 url', Buffer.from(`??>${VALUE}`).toString('base64url')],
  ])('are masked as %s writes them', (_, printed) => {
    const masked = mask([VALUE], `before ${printed} after`);
    expect(masked).toContain(MASK);
    for (const piece of ['Tr0ub', 'dor', '3 "x', Buffer.from(VALUE).toString('hex').slice(4, 16)])
      expect(masked).not.toContain(piece);
  });

  it('are masked within longer base64 at every alignment, in both alphabets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9 }), fc.string({ unit: 'grapheme', minLength: 8, maxLength: 40 }), fc.uint8Array({ maxLength: 9 }), fc.constantFrom('base64' as const, 'base64url' as const), (before, value, after, alphabet) => {
        const secret = `Q7${value.trim()}x9Zk2`;
        const bytes = Buffer.concat([before, Buffer.from(secret), after]);
        const masked = mask([secret], bytes.toString(alphabet));
        expect(masked).toContain(MASK);
        // What stays stands for what was around it, less a character at each border.
        const stays = masked.split(MASK).join('').replace(/=+$/, '').length;
        expect(stays).toBeLessThanOrEqual(Math.ceil((before.length + after.length) * 8 / 6) + 1);
      }),
    );
  }); // prettier-ignore

  it('of several lines are known by their body and by their long lines', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type: 'pkcs1', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } }); // prettier-ignore
    const lines = privateKey.trim().split('\n').slice(1, -1);
    for (const line of lines) expect(mask([privateKey], `x ${line} y`)).toBe(`x ${MASK} y`);
    const wrapped = Buffer.from(privateKey)
      .toString('base64')
      .match(/.{1,76}/g)!;
    for (const line of wrapped.filter(({ length }) => length >= 8))
      expect(mask([privateKey], line)).toMatch(/^\[secret\].{0,3}$/);
    expect(mask([privateKey], JSON.stringify({ key: privateKey }))).not.toContain(lines[3]);
  });

  it('of several lines do not make ordinary lines secret', () => {
    const kubeconfig = 'apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    server: https://10.0.0.1:6443\nusers:\n- user:\n    token: Zm9vYmFyYmF6cXV4MTIzNDU2\n'; // prettier-ignore
    const text = 'apiVersion: v1 kind: Config clusters: server: https://10.0.0.1:6443 users:';
    expect(mask([kubeconfig], text)).toBe(text);
    expect(mask([kubeconfig], 'x Zm9vYmFyYmF6cXV4MTIzNDU2')).toBe(`x ${MASK}`);
  });

  it('that are short, numbers or ordinary words stay', () => {
    const values = ['short', 'true', '12345678', '2026-11-23', 'postgres', 'Production', 'password'];
    const text = 'short true 12345678 2026-11-23 postgres Production password';
    expect(mask(values, text)).toBe(text);
  });

  it('that are a part of a name stay', () => {
    expect(
      withoutNames({ secrets: ['acme-corp', 'hunter2-hunter2'], names: ['acme-corp-automation'] }),
    ).toEqual(['hunter2-hunter2']);
  });

  it('leave nothing of them in any text, and change no text without them', () => {
    const value = fc.string({ unit: fc.constantFrom('a', 'b', '$', '.', '-', '(', 'é'), minLength: 8, maxLength: 12 });
    const text = fc.array(fc.oneof(value, fc.string({ maxLength: 5 })), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), text, (values, parts) => {
        const real = values.filter((one) => /[ab$(é]/.test(one));
        const clean = mask(real, [...parts, ...real].join(' '));
        for (const one of real) expect(clean).not.toContain(one.trim());
        const other = 'zzz yyy 0123 '.repeat(3);
        expect(mask(real, other)).toBe(other);
      }),
    );
  }); // prettier-ignore
});

describe('secrets by their looks', () => {
  const r = (text: string, times: number): string => text.repeat(times);
  it.each([
    ['Authorization: Bearer abc.def-123456789', `Authorization: Bearer ${MASK}`],
    ['"authorization": "Basic dXNlcjpwYXNz"', `"authorization": "Basic ${MASK}"`],
    ['curl -H "Authorization: token 0123456789abcdef"', `curl -H "Authorization: token ${MASK}"`],
    [
      'git clone https://ci:s3cr3t@git.example.com/x.git',
      `git clone https://ci:${MASK}@git.example.com/x.git`,
    ],
    ['postgres://app:p%40ss@db:5432/app', `postgres://app:${MASK}@db:5432/app`],
    [`id eyJhbGciOiJIUzI1NiJ9.${r('a1', 10)}.${r('b2', 10)} ok`, `id ${MASK} ok`],
    [`ghp_${r('a1B', 12)}`, MASK],
    [`glpat-${r('a1', 10)}`, MASK],
    [`xoxb-${r('123-', 5)}abc`, MASK],
    ['AKIAIOSFODNN7EXAMPLE', MASK],
    [`dop_v1_${r('0a', 32)}`, MASK],
    [`sk_live_${r('a1', 12)}`, MASK],
    [`npm_${r('aB1', 12)}`, MASK],
    [`AGE-SECRET-KEY-1${r('QZ', 29)}`, MASK],
    [`hcloud context ${r('aB3d', 16)}`, `hcloud context ${MASK}`],
    ['DB_PASSWORD=correct-horse-battery', `DB_PASSWORD=${MASK}`],
    ['"api_key": "abcd-efgh-ijkl"', `"api_key": "${MASK}"`],
    ["'db_password': 'correct horse'", "'db_password': 'correct horse'"],
    ['token: 9f8e7d6c5b4a', `token: ${MASK}`],
    ['{\\"password\\":\\"correct-horse\\"}', `{\\"password\\":\\"${MASK}\\"}`],
  ])('%j', (text, clean) => {
    expect(mask([], text)).toBe(clean);
  });

  it.each([
    'password: "{{ vault_db_password }}"',
    'password: changed',
    'PASSWORD=${DB_PASSWORD}',
    '"password": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"',
    'token: /var/run/secrets/token',
    'secret/web-tls configured',
    'token=null, secret: true, passwd: *',
    'ssh-rsa key: SHA256:abcdefghijklmnopqrstuvwxyz012345678901234567',
    'no_log: true',
    'Bearer authentication required',
    'https://example.com:8443/path?user=me@example.com',
    'commit 9fceb02d0ae598e95dc970b74767f19372d61af8',
  ])('%j stays', (text) => {
    expect(mask([], text)).toBe(text);
  });

  it('private keys are masked over lines, and what comes after them is not', () => {
    const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${'b3BlbnNzaC1rZXktdjEA'.repeat(3)}\n${'Zm9v'.repeat(15)}\nAAA=\n-----END OPENSSH PRIVATE KEY-----`;
    const body = `-----BEGIN OPENSSH PRIVATE KEY-----\n${MASK}\n${MASK}\n${MASK}\n-----END OPENSSH PRIVATE KEY-----`;
    const redactor = createRedactor([]);
    expect(redactText(redactor, `before\n${key}\nafter that`)).toBe(`before\n${body}\nafter that`);
    expect(redactText(redactor, JSON.stringify({ key }))).toBe(
      `{"key":"-----BEGIN OPENSSH PRIVATE KEY-----${MASK}-----END OPENSSH PRIVATE KEY-----"}`,
    );
    const cut = key.split('\n').slice(0, 3).join('\n');
    expect(redactText(redactor, `${cut}\nTASK [Go on with it] ****\nok: [db-1]`)).toContain('\nTASK [Go on with it] ****\nok: [db-1]'); // prettier-ignore
  });

  it('a private key without an end takes one short line at most, and none that follows no body', () => {
    const redactor = createRedactor([]);
    const begin = '-----BEGIN RSA PRIVATE KEY-----';
    const body = 'b3BlbnNzaC1rZXktdjEA'.repeat(3);
    const output = 'done\nchanged\nError: none';
    expect(redactText(redactor, `${begin}\n${body}\n${body}\nAAA=\n${output}`)).toBe(
      `${begin}\n${MASK}\n${MASK}\n${MASK}\n${output}`,
    );
    expect(redactText(redactor, `${begin}\n${output}`)).toBe(`${begin}\n${output}`);
    expect(redactText(redactor, `${begin}\nProc-Type: 4,ENCRYPTED\n\n${body}\n-----END RSA PRIVATE KEY-----\n${output}`)).toBe(
      `${begin}\n${MASK}\n\n${MASK}\n-----END RSA PRIVATE KEY-----\n${output}`,
    );
  }); // prettier-ignore
});

describe('a stream', () => {
  const secret = 'S3cr3t-välue/with+all';
  const key = `-----BEGIN RSA PRIVATE KEY-----${'\\nMIIEowIBAAKCAQEA'.repeat(800)}\\n-----END RSA PRIVATE KEY-----`;
  const planted = [
    secret,
    JSON.stringify(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('hex'),
    `${secret.slice(0, 6)}\u001b[31m${secret.slice(6)}`,
    `${secret.slice(0, 6)}\u200b${secret.slice(6)}`,
    `${secret.slice(0, 6)}\r${secret.slice(6)}`,
    'Authorization: Bearer abcdefghijklmnop0123456789',
    key,
  ];

  it('shows no secret, wherever it is cut, however long its line is', () => {
    const filler = fc.string({ unit: fc.constantFrom('x ', 'y.', ', '), maxLength: 4_000 });
    const parts = fc.array(fc.tuple(filler, fc.constantFrom(...planted)), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(parts, fc.array(fc.nat(40_000), { maxLength: 12 }), (all, cuts) => {
        const text = all.map(([before, it]) => `${before} ${it} `).join('');
        const borders = [...new Set([0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length])].sort((a, b) => a - b);
        let times = 0;
        const clean = createOutputCleaner(createRedactor([secret]), () => (times += 1));
        const stored = borders.slice(1).map((end, n) => clean(text.slice(borders[n], end), end < text.length));
        const whole = stored.join('');
        for (const leak of ['S3cr3t', 'with+all', 'wit', 'abcdefghij', 'MIIE', 'UzNjcjN0', '53336372'])
          expect(whole).not.toContain(leak);
        const once = createOutputCleaner(createRedactor([secret]), () => undefined)(text, false);
        expect(whole.replaceAll(MASK, '')).toBe(once.replaceAll(MASK, ''));
        expect(times).toBe(all.filter(([, it]) => planted.indexOf(it) < 7).length);
      }),
      { numRuns: 300 },
    );
  }); // prettier-ignore

  it('holds back no more than a few kilobytes', () => {
    const clean = createOutputCleaner(createRedactor([secret, 'L0ng'.repeat(20_000)]), () => undefined);
    let out = 0;
    for (let n = 1; n <= 20; n++) {
      out += clean('x'.repeat(65_536), true).length;
      expect(n * 65_536 - out).toBeLessThan(10_000);
    }
    expect(out + clean('', false).length).toBe(20 * 65_536);
  });

  it.each([
    ['an endless key', '-----BEGIN PRIVATE KEY-----'.repeat(5_000)],
    ['names', 'password='.repeat(20_000)],
    ['addresses', 'a://b:'.repeat(20_000)],
    ['addresses with hosts', 'a://b:c@'.repeat(20_000)],
    ['headers', 'authorization: bearer '.repeat(8_000)],
    ['clouds', `hcloud ${'aB3'.repeat(40_000)}`],
    ['tokens', 'eyJaaaaaaaa.'.repeat(15_000)],
    ['almost values', 'S3cr3t-välue/with+al'.repeat(10_000)],
  ])('takes linear time for %s', (_, line) => {
    const clean = createOutputCleaner(createRedactor([secret]), () => undefined);
    const began = performance.now();
    for (let at = 0; at < line.length; at += 65_536) clean(line.slice(at, at + 65_536), true);
    clean('', false);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe('what leaves the process', () => {
  const redaction = createRedaction();
  redaction.learn('w', { secrets: ['hunter2-hunter2', 'web-shop'], names: ['web-shop-eu'] });

  it('has no secret in any string or member name, but keeps the fields of a record', () => {
    expect(
      redaction.json({ reason: 'hunter2-hunter2', n: [{ 'hunter2-hunter2': 1 }], block: 'web-shop', text: 'web-shop' }),
    ).toEqual({ reason: MASK, n: [{ [MASK]: 1 }], block: 'web-shop', text: 'web-shop' }); // prettier-ignore
  });

  it('has no control characters, in the fields of a record neither', () => {
    expect(redaction.json({ name: 'a\u001b[31mb\u202ec', text: 'x\u0000y\nz' })).toEqual({ name: 'abc', text: 'x␀y\nz' });
  }); // prettier-ignore

  it('learns anew', () => {
    redaction.learn('w', { secrets: ['another-secret'], names: [] });
    expect(redaction.text('hunter2-hunter2 another-secret')).toBe(`hunter2-hunter2 ${MASK}`);
  });
});
