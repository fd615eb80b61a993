import { sees } from '../access/identity.ts';
import type { IntentRequest, RunLedger } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { textOf, type JsonObject } from '../shared/json.ts';
import { parseBlockRef, withoutHost } from '../shared/names.ts';
import type { CallBody } from './call.ts';
import { placeOf } from './decide-again.ts';

/** Throws `refused` unless the intent is what the call asked for. */
export async function refuseOtherRun({ ledger }: { ledger: Pick<RunLedger, 'find'> }, { event }: IntentRequest, body: CallBody): Promise<void> {
  const { facts } = event;
  const { sent: { tool, input, scope }, kept: { target, aliases } } = body;
  const place = placeOf(facts);
  const isThere = target?.organization === place.organization && target.workspace === place.workspace;
  if (!isThere || !sees(scope, place)) refuse('another workspace');
  if ((event.private['reason'] === null) !== (input['reason'] === undefined)) refuse('another reason');
  switch (tool) {
    case 'run_action':
      if (facts['retrigger_of'] !== null || facts['trigger'] !== 'mcp') refuse('another kind of run');
      return refuseOtherAction(facts, input, aliases);
    case 'run_workflow':
      if (facts['kind'] !== 'workflow' || facts['workflow'] !== input['workflow']) refuse('another workflow');
      return;
    case 'retrigger_action_run': {
      const past = await ledger.find(textOf(input['run_id']));
      const isAgain = past && facts['retrigger_of'] === past.id && facts['block'] === past.block && facts['action'] === past.action;
      if (!isAgain || facts['kind'] !== 'action' || facts['trigger'] !== 'retrigger') refuse('another run');
      return;
    }
    default:
      refuse('none that starts anything');
  }
} // prettier-ignore

function refuseOtherAction(facts: JsonObject, input: JsonObject, aliases: readonly string[]): void {
  const [block, action] = [textOf(facts['block']), textOf(facts['action'])];
  const [wanted, asked] = [textOf(input['block']), textOf(input['action'])];
  const { name } = parseBlockRef(wanted);
  const isBlock = block === wanted || withoutHost(block) === withoutHost(name) || aliases.includes(name);
  const isAction = action === asked || aliases.includes(asked);
  if (facts['kind'] !== 'action' || !isBlock || !isAction) refuse('another action');
}

function refuse(what: string): never {
  throw new AppError('refused', `the call that it is for asks for something else: that is ${what}`);
}
