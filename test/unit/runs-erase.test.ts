import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActionRun, RunEvent } from '../../src/runs/action-run.ts';
import { applyEvent } from '../../src/runs/fold.ts';
import { createPerson, lossOf, normalName, tombstoneOf, wordsOf } from '../../src/ledger/erase.ts';
import type { JsonObject } from '../../src/shared/json.ts';

const stored = (members: JsonObject): { name: string; value: string }[] =>
  Object.entries(members).map(([name, value]) => ({ name, value: JSON.stringify(value) }));

const person = (subject: string, ...events: JsonObject[]) => {
  const made = createPerson(subject);
  for (const value of events.flatMap(stored)) made.learn(value);
  return made;
};
const principal = (subject: string, display: string) => ({ kind: 'oidc', issuer: 'i', subject, display });
const lost = (subject: string, event: JsonObject): string[] =>
  lossOf(stored(event), person(subject, event)).names.sort();

const ADA = principal('u-1', 'Ada');
const BOB = principal('u-2', 'Bob');

describe('what an event loses', () => {
  it.each([
    ['all, for who asked', { principal: ADA, os_user: 'svc', reason: 'r', hostname: 'h', client: null }, ['hostname', 'os_user', 'principal', 'reason']],
    ['not the approval of somebody else', { principal: ADA, approval: { by: 'Bob' } }, ['principal']],
    ['the own approval of an own run', { principal: ADA, approval: { by: 'ADA' } }, ['approval', 'principal']],
    ['only the approval, for who approved', { principal: BOB, reason: 'r', approval: { by: 'Ada' } }, ['approval']],
    ['all, for an OS user without a principal', { principal: null, os_user: 'Ada', reason: 'r' }, ['os_user', 'reason']],
    ['only the OS user, where a principal asked through it', { principal: BOB, os_user: 'ada', reason: 'r' }, ['os_user']],
    ['who cancelled, and why', { cancelled_by: 'Ada', cancel_reason: 'why' }, ['cancel_reason', 'cancelled_by']],
    ['nothing, where the name is only part of another', { principal: principal('u-3', 'Ada B'), reason: 'Ada' }, []],
    ['nothing, where only a client or host has the name', { client: { name: 'Ada' }, hostname: 'Ada', reason: 'Ada' }, []],
    ['one of many acts', { '0.principal': BOB, '0.arguments': {}, '1.principal': ADA, '1.arguments': { q: 1 }, '1.client': { name: 'c' }, '10.principal': BOB }, ['1.arguments', '1.client', '1.principal']],
  ])('%s', (_what, event, names) => expect(lost(' ada', event as JsonObject)).toEqual(names)); // prettier-ignore

  it('is found under every name of the principal, and learns none from namesakes', () => {
    const known = person('u-1', { principal: ADA }, { principal: principal('u-9', 'Ada') }, { os_user: 'x' });
    expect(known.names()).toEqual(['u-1', 'ada']);
    expect(lossOf(stored({ cancelled_by: 'ada', cancel_reason: 'x' }), known)).toEqual({
      names: ['cancelled_by', 'cancel_reason'],
      acted: true,
    });
  });
});

it('names are compared without regard to case, border spaces and how accents are put together', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), (name) => {
      const key = new Uint8Array(32);
      for (const same of [` ${name}`, name.normalize('NFD'), name.toLowerCase()]) {
        expect(normalName(same)).toBe(normalName(name));
        expect(tombstoneOf(same, key)).toBe(tombstoneOf(name, key));
      }
      expect(tombstoneOf(name, key)).not.toBe(tombstoneOf(name, new Uint8Array(32).fill(1)));
      expect(tombstoneOf(`${name}x`, key)).not.toBe(tombstoneOf(name, key));
    }),
  );
});

it('words are found in facts whatever signs they hold, and no parts of words', () => {
  expect(wordsOf(['ada', 'c++ (x)']).test('{"workspace_path":"/home/Ada/x"}')).toBe(true);
  expect(wordsOf(['ada', 'c++ (x)']).test('{"a":"C++ (X)"}')).toBe(true);
  expect(wordsOf(['ada']).test('{"workspace":"canada","b":"ada_1","c":"adam"}')).toBe(false);
});

it('a private value never gets into the facts of its event', () => {
  const event: RunEvent = {
    kind: 'run_finished',
    run_id: 'r',
    at: 1,
    facts: { status: 'success', log: { lines: 1, sha256: null } },
    private: { 'log.sha256': 'aa' },
  };
  const before = structuredClone(event);
  expect(applyEvent({ status: 'running' } as ActionRun, event)).toMatchObject({ log: { sha256: 'aa' } });
  expect(event).toEqual(before);
});
