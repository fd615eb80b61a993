import type { App } from '../compose.ts';
import { isOpen } from '../runs/action-run.ts';
import type { Cleaning, ErasureSurvey } from '../ledger/upkeep.ts';
import { cleanLine } from '../shared/clean-text.ts';
import { AppError } from '../shared/errors.ts';
import { confirm } from './confirm.ts';
import { EXIT, isOn, type LedgerTask } from './ledger.ts';
import { showProgress } from './ledger-progress.ts';
import { count } from './count.ts';

interface Outcome extends ErasureSurvey {
  erased: boolean;
  logs_deleted: number | null;
  cleaning: Cleaning | null;
}

/** Tells what there is about a person, and takes it out if that is wanted. */
export async function erase(app: App, options: LedgerTask['options']): Promise<number> {
  const { subject, reason, logs, yes, json } = options;
  if (subject === undefined || subject.trim() === '') {
    throw new AppError('configuration', 'ledger erase needs to know whom: --subject=NAME.');
  }
  const progress = showProgress(process.stderr);
  const tell = (text: string): void => void (isOn(json) ? process.stderr : process.stdout).write(text);
  await app.verification.check.id();
  const request = { subject, logs: isOn(logs) };
  const survey = await app.upkeep.survey(request, progress.show).finally(progress.end);
  tell(told(survey, { subject, logs: isOn(logs) }));
  const outcome: Outcome = { ...survey, erased: false, logs_deleted: null, cleaning: null };
  if (isOn(yes) || (survey.values > 0 && (await confirm('Erase it?')) === true)) {
    outcome.logs_deleted = isOn(logs) ? await deleteLogs(app, survey.requested) : null;
    const by = { principal: { ...app.server.identity.principal }, reason: reason ?? null };
    const at = app.verification.clock.now();
    const done = await app.upkeep.erase({ ...request, at, by }, progress.show).finally(progress.end);
    // Also if nothing was left to erase: an earlier erasure may have been interrupted before this.
    outcome.cleaning = await app.upkeep.clean('erasing', progress.show).finally(progress.end);
    Object.assign(outcome, done, { erased: true });
    tell(toldAfter(outcome));
  } else if (survey.values > 0) tell('Nothing was erased; --yes does it.\n');
  if (isOn(json)) process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
  return outcome.cleaning?.done === false ? EXIT.unclean : EXIT.sound;
}

/** Before the values: afterwards nobody could tell whose logs they are. */
async function deleteLogs({ supervision }: App, runs: readonly string[]): Promise<number> {
  const { ledger, logs, files } = supervision;
  for (const id of runs) {
    const run = await ledger.find(id);
    if (run && isOpen(run)) {
      const says = `nothing was erased: run ${id} of this person is still open, and its log is being written`;
      throw new AppError('refused', says, { next: 'wait for its end or cancel it, or leave out --logs' });
    }
  }
  let deleted = 0;
  for (const id of runs) {
    if (await logs.remove(id)) deleted += 1;
    // What an action wrote for them and could not go back into the workspace.
    await files.removeKept(id);
  }
  return deleted;
}

function told(survey: ErasureSurvey, { subject, logs }: { subject: string; logs: boolean }): string {
  const { names, values, events, runs, requested, facts } = survey;
  if (values === 0) return `The ledger holds nothing about ${cleanLine(subject)} that can be erased.\n`;
  const lines = [
    `About ${names.map((name) => cleanLine(name)).join(', ')} the ledger holds ${count(values, 'private value')} of ${count(events, 'event')}. ` +
      `They are named in ${count(runs, 'run')}, ${requested.length} of which they asked for.`,
    ...(facts > 0
      ? [`${facts} events have one of the names as a word in their facts, which are hashed and stay.`]
      : []),
    logs
      ? 'The logs of the runs that they asked for are deleted from this data folder, and what is kept of what those wrote.'
      : 'Logs are left, and may name people: --logs deletes those of the runs that they asked for.',
  ];
  return `${lines.join('\n')}\n`;
}

function toldAfter({ values, events, logs_deleted, cleaning }: Outcome): string {
  const logs = logs_deleted === null ? '' : ` ${logs_deleted} logs were deleted.`;
  const state = cleaning!.done
    ? "The ledger's own files were overwritten."
    : 'Its files still hold the bytes: repeat the command.';
  return `${[`Erased ${values} values of ${events} events.${logs} ${state}`, ...cleaning!.remains].join('\n')}\n`;
}
