import { canonicalJson, type Json, type JsonObject } from '../shared/json.ts';
import {
  comesTooLate,
  type ActionRun,
  type Contradiction,
  type RemoteReport,
  type RunAlias,
  type RunEvent,
} from './action-run.ts';
import { foldAnswer } from './approval.ts';
import { settleContradictions } from './contradictions.ts';

/** The projection: what the record says after an event. Pure, so that it can be rebuilt from the events. */
export function applyEvent(run: ActionRun | null, event: RunEvent): ActionRun {
  // As it will be read back: then a rebuild from the events gives the same record, to the order of its members.
  const [facts, own] = [readBack(event.facts), readBack(event.private)];
  return foldEvent(structuredClone(run), { ...event, facts, private: own });
}

function readBack(members: JsonObject): JsonObject {
  return JSON.parse(canonicalJson(members)) as JsonObject;
}

/** The same in place, for who owns record and event. A closed record takes nothing but what others know of it. */
export function foldEvent(run: ActionRun | null, event: RunEvent): ActionRun {
  if (run && event.kind === 'run_seen_elsewhere')
    return seenElsewhere(run, event.facts as unknown as SeenElsewhere);
  if (run && comesTooLate(run, event)) return run;
  const record = (run ?? {}) as unknown as JsonObject;
  if (event.kind === 'run_alias_added') {
    const alias = event.facts['alias'];
    record['aliases'] = [...(record['aliases'] as Json[]), alias as Json];
    return record as unknown as ActionRun;
  }
  if (event.kind === 'run_submitted') return foldReport(run!, event.facts);
  if (event.kind === 'run_approval_answered') return foldAnswer(run!, event);
  const merged = run ? setMembers(record, event.facts) : beginning(event.facts);
  setMembers(merged, event.private);
  if (event.kind === 'run_finished') settleContradictions(merged as unknown as ActionRun);
  return merged as unknown as ActionRun;
}

/** The facts themselves, if they can be: an object that gets so many members one by one is slow ever after. */
function beginning(facts: JsonObject): JsonObject {
  return Object.keys(facts).some((name) => name.includes('.')) ? setMembers({}, facts) : facts;
}

/** Dots in a name reach into a nested member. Answers the record. */
export function setMembers(record: JsonObject, members: JsonObject): JsonObject {
  for (const path of Object.keys(members)) {
    if (path.includes('.')) setPath(record, path.split('.'), members[path]!);
    else record[path] = members[path]!;
  }
  return record;
}

/** The facts of `run_seen_elsewhere`. */
export interface SeenElsewhere {
  seen: { source: string; endpoint: string; id: string };
  /** Ids that the record did not have. */
  aliases: RunAlias[];
  /** All that this source says otherwise now. */
  contradictions: Contradiction[];
  api?: ActionRun['api'];
}

function seenElsewhere(run: ActionRun, { seen, aliases, contradictions, api }: SeenElsewhere): ActionRun {
  const others = (run.contradictions ?? []).filter(
    ({ source, endpoint, id }) => source !== seen.source || endpoint !== seen.endpoint || id !== seen.id,
  );
  run.aliases = [...run.aliases, ...aliases];
  run.contradictions = [...others, ...contradictions];
  if (run.contradictions.length === 0) delete run.contradictions;
  if (api) run.api = api;
  return run;
}

/** The record at the API is an alias of the run, told once. */
function foldReport(run: ActionRun, facts: JsonObject): ActionRun {
  const api = facts['api'] as unknown as RemoteReport;
  run.api = api;
  const { action_run_id: id, endpoint = null } = api;
  const known =
    id === null ||
    run.aliases.some((one) => one.source === 'api' && one.endpoint === endpoint && one.id === id);
  if (!known) run.aliases = [...run.aliases, { source: 'api', endpoint, id }];
  return run;
}

function setPath(target: JsonObject, path: readonly string[], value: Json): void {
  const [head, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  // Own members only: stored text must not reach a prototype.
  const nested = Object.hasOwn(target, head) ? target[head] : null;
  // A copy: what is nested in the record may still be the event's own, and must not be written into its facts.
  const next = nested !== null && typeof nested === 'object' && !Array.isArray(nested) ? { ...nested } : {};
  target[head] = next;
  setPath(next, rest, value);
}
