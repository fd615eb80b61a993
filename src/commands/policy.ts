import { policySource, readExpectations } from '../adapters/workspace-files/policy-file.ts';
import { tryPolicy, type Tried } from '../actions/policy-test.ts';
import type { App } from '../compose.ts';
import { AppError } from '../shared/errors.ts';
import { count } from './count.ts';

/** Tries a policy file on a table of expectations. Answers the exit code: 1 if one is not met. */
export async function policyTest(app: App, file: string, { expect }: Readonly<Record<string, string>>): Promise<number> {
  try {
    const { config } = app;
    const loaded = await policySource(file, config.workspaceRoots.map(({ path }) => path)).read();
    const expectations = [...loaded.policy.tests, ...(expect === undefined ? [] : await readExpectations(expect))];
    if (expectations.length === 0) {
      throw new AppError('configuration', `${file} can be used, but expects nothing of its ${count(loaded.policy.rules.length, 'rule')}`, {
        next: 'write expectations under tests: in it, or name a file that has them with --expect',
      });
    }
    const tried = tryPolicy(loaded, expectations, config.timezone);
    tried.forEach((one, index) => process.stdout.write(`${lineOf(one, index)}\n`));
    const failed = tried.filter(({ met }) => !met).length;
    process.stdout.write(`${count(tried.length, 'expectation')}, ${failed} not met. Policy ${loaded.digest.slice(0, 12)}\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    await app.close();
  }
} // prettier-ignore

function lineOf({ expectation, decision, met }: Tried, index: number): string {
  const { workspace, block, action, at, expect, rule } = expectation;
  const what = `${index + 1}. ${block} ${action} in ${workspace} at ${at}`;
  const got = `${decision.decision} by ${decision.rule}`;
  if (met) return `ok    ${what}: ${got}`;
  return `FAIL  ${what}: ${got}, expected ${expect}${rule === undefined ? '' : ` by ${rule}`}`;
}
