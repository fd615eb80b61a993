import { completable, type McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { cleanLine } from '../shared/clean-text.ts';
import type { Services } from '../tools/services.ts';
import { addressOf } from '../workspaces/workspace.ts';

const MOST_COMPLETIONS = 100;
const CITE =
  'Cite run ids, the interval in local time with its weekday, and the exact total. Say what coverage, excluded and evidence say; status "unknown" is not success. If nothing was found, say which filters and interval gave zero.';

/** Ways to work that people choose from a menu; their arguments complete from what is known. */
export function registerPrompts(server: McpServer, services: Services): void {
  const workspace = completable(z.string().max(200), (value) => workspaces(services, value));
  const run_id = completable(z.string().max(200), (value) => services.history.ids(value.toLowerCase(), MOST_COMPLETIONS));
  const block = completable(z.string().max(200), (value, context) => blocks(services, value, context?.arguments?.['workspace']));
  const environment = completable(z.string().max(200), async (value) =>
    start(value, await services.history.names('environment', 1_000)),
  );
  const user = completable(z.string().max(200), async (value) =>
    start(value.toLowerCase(), await services.history.names('user', 5_000)),
  );
  const when = z.string().max(100);
  server.registerPrompt(
    'audit_question',
    {
      title: 'Answer an audit question',
      description: 'Who ran what, where, when and how it ended, with citations',
      argsSchema: z.object({ question: z.string().max(2_000), workspace: workspace.optional(), user: user.optional() }),
    },
    (given) => ask(services, `Answer this question about the past of the infrastructure from the record: ${quoted(given.question)}.
${filters(given, ['workspace', 'user'])}${ways(services, ['search_action_runs', 'summarize_action_runs', 'trace_versions', 'find_changes', 'get_action_run', 'search_trail'])} ${CITE}`),
  );
  server.registerPrompt(
    'incident_review',
    {
      title: 'Review an incident',
      description: 'What was run before and around an incident',
      argsSchema: z.object({ at: when.describe('For example: yesterday 21:17'), workspace: workspace.optional(), environment: environment.optional() }),
    },
    (given) => ask(services, `Review the incident at ${quoted(given.at)}.
${filters(given, ['workspace', 'environment'])}${ways(services, ['find_changes', 'trace_versions', 'summarize_action_runs'])} List every run of the 24 hours before it and of the hours after it, newest first, and those that were going on at that moment (time_field overlaps). For each failed one read_action_run_log with failed_task_only. Compare with the last success of the same action (get_action_run compare_to). Separate what the record shows from what you conclude. ${CITE}`),
  );
  server.registerPrompt(
    'deployment_report',
    {
      title: 'Report deployments',
      description: 'Which versions were deployed where, with counts and failures',
      argsSchema: z.object({ during: when.describe('For example: last month'), workspace: workspace.optional(), environment: environment.optional() }),
    },
    (given) => ask(services, `Report what was deployed during ${quoted(given.during)}.
${filters(given, ['workspace', 'environment'])}${ways(services, ['summarize_action_runs', 'trace_versions', 'find_changes'])} Give exact counts by workspace, block, version and outcome, the failures with their failed task, re-triggers, and what is open or unknown. ${CITE}`),
  );
  server.registerPrompt(
    'safe_runbook',
    {
      title: 'Run an action safely',
      description: 'Plan, check, run, follow and verify one action',
      argsSchema: z.object({ workspace, block, action: z.string().max(200), reason: z.string().max(2_000), after: run_id.describe('A past run to compare with').optional() }),
    },
    (given) => ask(services, `Run action ${quoted(given.action)} of block ${quoted(given.block)} in workspace ${quoted(given.workspace)}, because ${quoted(given.reason)}.
1. plan_action, and show its hosts, image, warnings, drift and the policy's decision. Stop if anything is unexpected.
2. search_action_runs for the same block: is a run open, how did the last ones end?
3. run_action with the plan's digest as plan_digest, the reason, and an idempotency_key of your own. A human approves where the policy asks; you cannot.
4. wait_for_action_run until finished. On failure read_action_run_log with failed_task_only; do not run it again by yourself.
5. Report the run id, its outcome and summary${given.after === undefined ? '' : `, and the differences from run ${quoted(given.after)} (get_action_run compare_to)`}.`),
  );
} // prettier-ignore

/** What each tool answers with one call. */
const ANSWERS: Record<string, string> = {
  search_action_runs: 'who ran what and when (during, since and until take plain words)',
  summarize_action_runs:
    'how many, how long and how often it failed (group_by; exact counts without reading runs)',
  trace_versions: 'when a version reached or left which workspace, and what is current',
  find_changes: 'what changed around an instant, closest first',
  get_action_run: 'one run in full, or its differences from another (compare_to)',
  search_trail: 'what assistants asked, were refused and had approved',
};

/** The tools for a task, as far as this server has them. */
function ways({ toolNames }: Services, wanted: readonly string[]): string {
  const there = wanted.filter((name) => toolNames.includes(name));
  return `Ask with one call where one is enough: ${there.map((name) => `${name} tells ${ANSWERS[name]}`).join('; ')}.`;
}

function ask(
  { redaction }: Services,
  text: string,
): { messages: { role: 'user'; content: { type: 'text'; text: string } }[] } {
  return { messages: [{ role: 'user', content: { type: 'text', text: redaction.text(text) } }] };
}

/** What a person typed stays in its quotes, on one line. */
function quoted(text: string): string {
  return JSON.stringify(cleanLine(text.replace(/\s+/g, ' ')));
}

function filters(given: Record<string, string | undefined>, names: readonly string[]): string {
  const said = names.flatMap((name) => (given[name] ? [`${name} ${quoted(given[name])}`] : []));
  return said.length === 0 ? '' : `Only ${said.join(' and ')}.\n`;
}

function start(value: string, names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => name.startsWith(value)).slice(0, MOST_COMPLETIONS);
}

async function workspaces({ store }: Services, value: string): Promise<string[]> {
  const known = await store.list();
  return start(value, known.flatMap((one) => [one.name, addressOf(one)]));
} // prettier-ignore

async function blocks({ store }: Services, value: string, workspace: string | undefined): Promise<string[]> {
  const known = (await store.list()).filter((one) => !workspace || one.name === workspace || addressOf(one) === workspace);
  return start(value, known.flatMap((one) => one.blocks.map(({ name }) => name)));
} // prettier-ignore
