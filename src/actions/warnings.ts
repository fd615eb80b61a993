import { capitalKeys } from '../blocks/differences.ts';
import type { Problem } from '../blocks/block.ts';
import type { PlanInput } from './plan.ts';

/** Names of things in one message. */
const MAX_NAMED = 5;

/** What whoever plans a run should know before it: the state of the files, then what differs from the CLI. */
export function warningsOf(input: PlanInput): string[] {
  return [...stateOf(input), ...differencesOf(input)];
}

function stateOf(input: PlanInput): string[] {
  const { workspace, block, action, files, image, executor } = input;
  const found: (string | false)[] = [
    workspace.organization === null &&
      'workspace.poly names no organization; the Polycrate CLI would refuse it',
    files.encrypted.length > 0 &&
      `encrypted, not decrypted: ${few(files.encrypted)}; ${files.wrong_key ? 'WORKSPACE_ENCRYPTION_KEY does not open them' : 'run \`polycrate workspace decrypt\` first, or set WORKSPACE_ENCRYPTION_KEY'}`,
    action.kind === 'playbook' &&
      files.inventory === null &&
      executor === 'docker' &&
      "no inventory in the workspace: the image's own /etc/ansible/hosts is used",
    image !== null &&
      image.digest === null &&
      !image.build &&
      `the image ${image.reference} is not on this host yet and would be pulled`,
    image?.build?.cached === false &&
      `the image of ${image.build.dockerfile} is built before the action starts`,
    executor === 'local' &&
      files.dockerfile !== null &&
      `${files.dockerfile.relative} is not used without a container`,
    input.locked &&
      executor !== 'cli' &&
      "approved or asked for by plan_digest, it cannot write into its block's folder: POLYCRATE_MCP_PRIVATE_COPY is read-only",
    executor === 'local' && 'runs on this host without a container',
    ...(executor === 'cli' ? ofTheCli(input) : []),
    files.schema !== null &&
      files.schema.unchecked !== null &&
      `${files.schema.file} ${files.schema.unchecked}: the configuration was not checked`,
  ];
  return [
    ...found.filter((text) => text !== false),
    ...workspace.problems.filter(isOfSecrets).map(wordsOf),
    ...block.problems.filter(({ severity }) => severity === 'warning').map(wordsOf),
  ];
}

/** What the CLI does by itself, where a plan cannot know more (polycrate-cli facts 4 to 6 and 12). */
function ofTheCli({ cli, files }: PlanInput): string[] {
  const found: (string | false)[] = [
    'image, environment and mounts are chosen by the CLI, which also gives the action the socket of the engine and with it control of this host',
    'the CLI reads the files when it starts, writes its own log and commits the git work tree of the workspace after a run',
    'exit code and output are those of the CLI: 1 for every failure, and both streams of the action as stdout',
    cli !== null &&
      !cli.flags.includes('--runtime-dir') &&
      'this CLI leaves a snapshot with the configuration in clear text in ~/.polycrate/run',
    files.dockerfile !== null &&
      `the CLI builds ${files.dockerfile.relative} with the whole workspace as context, secrets included`,
    Object.keys(files.opened).length > 0 &&
      'encrypted files are not opened for the CLI: run `polycrate workspace decrypt` first',
  ];
  return found.filter((text) => text !== false);
}

function isOfSecrets({ severity, file }: Problem): boolean {
  return severity === 'warning' && file === 'secrets.poly';
}

/** Where the CLI of 2025 would do something else (polycrate-cli facts 12 and 13). */
function differencesOf({ workspace, block, action, files, image, executor }: PlanInput): string[] {
  const capitals = capitalKeys(block.config);
  const found: (string | false)[] = [
    action.kind === 'script' &&
      action.script.length > 1 &&
      'script lines run in order and stop at the first failure; the 2025 CLI ran them at the same time',
    action.kind === 'script' &&
      action.script.some((line) => line.includes('{{')) &&
      '{{ }} in the script is left to the shell; the 2025 CLI rendered it as a template',
    workspace.path.includes(':') &&
      'the folder of the workspace has a colon in its name, which the 2025 CLI cannot mount',
    capitals.length > 0 &&
      `keys keep their capital letters in the snapshot; the 2025 CLI wrote them in lower case: ${few(capitals)}`,
    block.from !== null &&
      block.declared_in !== 'workspace.poly' &&
      'from is written in block.poly; newer versions of the CLI read it in workspace.poly only',
    Boolean(image?.build?.context) &&
      'secrets, keys, inventories, *.poly and .git are left out of the build; the 2025 CLI sent the whole workspace',
    files.kubeconfig === null &&
      executor === 'docker' &&
      block.kind !== null &&
      block.kind.startsWith('k8s') &&
      "no kubeconfig in the workspace: the user's own ~/.kube/config is not used",
  ];
  return [
    ...found.filter((text) => text !== false),
    ...[...workspace.differences, ...block.differences].map(wordsOf),
  ];
}

function wordsOf({ file, line, message }: Problem): string {
  return `${file}:${line ?? '?'}: ${message}`;
}

function few(names: readonly string[]): string {
  const rest = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
  return `${names.slice(0, MAX_NAMED).join(', ')}${rest}`;
}
