import type { App } from '../compose.ts';
import { messageOf } from '../shared/errors.ts';
import { VERSION } from '../config.ts';
import { checkApi } from './doctor/api.ts';
import { checkEngine } from './doctor/engine.ts';
import { ok, problem, renderFinding, renderSummary, warning, type Finding } from './doctor/finding.ts';
import { checkLedger } from './doctor/ledger.ts';
import { checkDriver, checkHome, checkNode } from './doctor/machine.ts';
import { checkServer } from './doctor/server.ts';
import { checkWorkspaces } from './doctor/workspaces.ts';

/** Tells what is configured, reachable and missing, each with what mends it. False: something is a problem. */
export async function doctor(app: App, warnings: readonly string[]): Promise<boolean> {
  const colours = process.stdout.isTTY && process.stdout.hasColors();
  const all: Finding[] = [];
  const tell = (...findings: Finding[]): void => {
    all.push(...findings);
    for (const finding of findings) process.stdout.write(renderFinding(finding, colours));
  };
  process.stdout.write(`polycrate-mcp ${VERSION}. ${promise(app)}\n\n`);
  tell(checkNode(process.versions.node), ...warnings.map((text) => warning(text)), ...settingsOf(app));
  tell(...(await attempt('data folder', async () => checkData(app))));
  if (app.config.server !== null) tell(...(await attempt('server', () => checkServer(app.config))));
  tell(...(await attempt('workspaces', () => checkWorkspaces(app))));
  tell(...(await attempt('executor', () => checkEngine(app))));
  tell(...(await attempt('Polycrate API', () => checkApi(app))));
  process.stdout.write(`\n${renderSummary(all)}`);
  await app.close();
  return all.every(({ mark }) => mark !== 'problem');
}

/** A database is opened as a server would open it, which is also how its owner prepares it for the servers. */
function promise({ config }: App): string {
  if (config.databaseUrl === null) return 'Nothing is changed; only the ledger is opened, if there is one.';
  return 'Nothing is changed, except that the database gets the tables of this version if it lacks them.';
}

async function checkData(app: App): Promise<Finding[]> {
  const home = await checkHome(app.config.home);
  if (app.config.databaseUrl !== null) return [home.finding, ...(await checkLedger(app))];
  const driver = checkDriver();
  const usable = home.exists && home.finding.mark !== 'problem' && driver.mark === 'ok';
  return [home.finding, driver, ...(usable ? await checkLedger(app) : [])];
}

const RUN_MODES = {
  'read-only': 'nothing can be run, cancelled or re-triggered',
  ask: 'a human approves each run through the client; clients that cannot ask get a refusal',
  policy: 'the rules of a file decide, and what none of them names is denied',
  trusted: "the client's own confirmation is enough",
};

function settingsOf({ config }: App): Finding[] {
  return [
    ok(`run mode ${config.runMode}: ${RUN_MODES[config.runMode]}`),
    ok(`times without an offset are meant in ${config.timezone}`),
  ];
}

/** One thing that cannot be looked at must not hide the others. */
async function attempt(what: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    return [problem(`${what}: ${messageOf(error)}`)];
  }
}
