import type { Row } from './row.ts';
import { canonicalJson, isObject, keyedTextDigest, type Json, type JsonObject } from '../shared/json.ts';
import type { Principal } from '../access/identity.ts';
import type { LedgerEvent } from './action-run.ts';
import { storedArguments } from './trail-arguments.ts';

/** The one kind of event that is about calls and not about a run. */
export const CALLS_RECORDED = 'calls_recorded';

export const CALL_OUTCOMES = [
  'answered',
  'launched', // a run, without a human being asked
  'asked', // a human, who has not answered yet
  'approved', // by a human, and launched
  'declined', // by a human
  'refused',
  'failed',
] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** One call of a tool, or one resource that was read. */
export interface Call {
  id: string;
  /** When it arrived. */
  at: number;
  tool: string;
  outcome: CallOutcome;
  /** Our error code, where there is one. */
  code: string | null;
  duration_ms: number;
  /** The run that it launched or was about. */
  run_id: string | null;
  principal: Principal | null;
  client: { name: string; version: string | null } | null;
  /** Canonical JSON of the arguments as they were sent. */
  sent: string;
}

export interface CallsEvent extends LedgerEvent {
  kind: typeof CALLS_RECORDED;
  run_id: '';
}

/** A batch of calls as one event. `key`: the ledger's, so that no digest can be guessed backwards. */
export function callsEvent(
  calls: readonly Call[],
  { at, key, redact }: { at: number; key: Uint8Array; redact: (text: string) => string },
): CallsEvent {
  const members = calls.flatMap(({ principal, client, sent }, position): [string, Json][] => {
    const given = JSON.parse(sent) as Json;
    return [
      [`${position}.principal`, principal && { ...principal }],
      [`${position}.client`, client && { ...client }],
      [`${position}.arguments`, storedArguments(given, redact)],
      [`${position}.arguments_digest`, keyedTextDigest(key, sent)],
    ];
  });
  const facts = { calls: calls.map(factsOf) };
  return { kind: CALLS_RECORDED, run_id: '', at, facts, private: Object.fromEntries(members) };
}

function factsOf({ id, at, tool, outcome, code, duration_ms, run_id }: Call): JsonObject {
  return { id, at, tool, outcome, duration_ms, ...(code !== null && { code }), ...(run_id !== null && { run_id }) };
} // prettier-ignore

/** Columns of the table `calls` beside `seq`, in its order. */
export const CALL_COLUMNS = [
  'position', 'id', 'at', 'tool', 'outcome', 'code', 'duration_ms', 'run_id', 'subject', 'display', 'principal', 'client', 'arguments',
] as const; // prettier-ignore

/**
 * What the table `calls` says about an event: a projection, so that it can be rebuilt. A private value that was
 * erased is null. `storable`: how the store can hold a text that is not JSON.
 */
export function callRows(
  { facts, private: members }: Pick<LedgerEvent, 'facts' | 'private'>,
  storable: (text: string) => string,
): Row[] {
  const calls = facts['calls'] as JsonObject[];
  return calls.map((call, position) => {
    const own = (name: string): Json => members[`${position}.${name}`] ?? null;
    const principal = own('principal');
    return {
      position,
      id: call['id'] as string,
      at: call['at'] as number,
      tool: storable(call['tool'] as string),
      outcome: call['outcome'] as string,
      code: (call['code'] ?? null) as string | null,
      duration_ms: call['duration_ms'] as number,
      run_id: (call['run_id'] ?? null) as string | null,
      subject: nameOf(principal, 'subject', storable),
      display: nameOf(principal, 'display', storable),
      principal: textOf(principal),
      client: textOf(own('client')),
      arguments: textOf(own('arguments')),
    };
  });
}

/** How the column `principal` ends for the same principal, whatever its display name is, which stands before. */
export function principalEnd({ kind, issuer, subject }: Principal): string {
  return canonicalJson({ kind, issuer, subject }).replace(/^\{/, ',');
}

/** In lower case: names are searched without regard to it. */
function nameOf(principal: Json, member: string, storable: (text: string) => string): string | null {
  const name = isObject(principal) ? principal[member] : null;
  return typeof name === 'string' ? storable(name).toLowerCase() : null;
}

function textOf(value: Json): string | null {
  return value === null ? null : canonicalJson(value);
}
