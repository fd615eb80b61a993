import { isMetadataName } from '../shared/names.ts';
import type { Action } from './block.ts';
import type { ActionDeclaration } from './declaration.ts';

/** The action to offer. What makes it unusable becomes its own problem and leaves the others alone. */
export function actionOf(declared: ActionDeclaration): Action {
  const problem = declared.problem ?? problemOf(declared);
  const { file, line } = declared.at;
  return {
    name: declared.name,
    description: declared.description,
    kind: declared.playbook === null ? 'script' : 'playbook',
    playbook: declared.playbook,
    script: [...declared.script],
    prompt: declared.prompt,
    interactive: declared.interactive ?? false,
    alias: [...declared.alias],
    labels: { ...declared.labels },
    config: declared.config,
    problem: problem === null ? null : `${file}${line === null ? '' : `:${line}`}: ${problem}`,
  };
}

function problemOf(action: ActionDeclaration): string | null {
  const { playbook, script } = action;
  if (!isMetadataName(action.name)) {
    return 'the action name must start with a letter, have two characters or more and hold only letters, digits, _, and single - or /';
  }
  if (playbook !== null && script.length > 0) return 'has both script and playbook; one of them must go';
  if (playbook === null) return script.length > 0 ? null : 'has neither script nor playbook';
  return staysBelow(playbook) ? null : `playbook ${playbook} must be a path inside the folder of the block`;
}

/** True for relative paths that cannot leave the folder they start in, however they are written. */
export function staysBelow(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.startsWith('-') || path.includes('\0')) return false;
  return !path.split(/[/\\]/).includes('..');
}
