import { AppError } from '../shared/errors.ts';
import { checkText, closest } from '../shared/names.ts';
import type { Action, Block } from './block.ts';

/** An action by its exact name, else by an alias that only one action has. */
export function findAction(block: Block, name: string): Action {
  checkText('action', name);
  const exact = block.actions.find((action) => action.name === name);
  if (exact) return exact;
  const aliased = block.actions.filter((action) => action.alias.includes(name));
  const [only, ...others] = aliased;
  if (only && others.length === 0) return only;
  if (only) {
    throw new AppError('ambiguous_name', `"${name}" is an alias of several actions of block ${block.name}.`, {
      valid: aliased.map((action) => action.name),
      next: 'Use the name of the action instead of its alias.',
    });
  }
  const names = block.actions.map((action) => action.name);
  throw new AppError('unknown_name', `Block ${block.name} has no action "${name}".`, {
    valid: closest(name, names),
    next: 'get_block shows the actions of the block.',
  });
}
