import type { OwnPostgresServer } from '../support/postgres.ts';
import { runLane, type LaneReport } from './lane.ts';
import { PROMISES } from './oracle.ts';
import { openPlace, type Cell } from './place.ts';

export interface SoakPlan {
  cells: readonly Cell[];
  kills: number;
  seed: number;
  /** Lanes of each cell; each has a data folder and a seed of its own. */
  lanes: number;
}

export type CellReport = Cell & { lanes: LaneReport[] };

/** All cells side by side: what is killed in one lane does not touch another. */
export async function soak(plan: SoakPlan, postgres: OwnPostgresServer | null): Promise<CellReport[]> {
  const each = Math.ceil(plan.kills / (plan.cells.length * plan.lanes));
  return await Promise.all(
    plan.cells.map(async (cell, column) => {
      const seeds = Array.from({ length: plan.lanes }, (_, lane) => plan.seed + 1000 * column + lane);
      const lanes = await Promise.all(seeds.map((seed) => lane(cell, { seed, kills: each }, postgres)));
      return { ...cell, lanes };
    }),
  );
}

async function lane(
  cell: Cell,
  options: { seed: number; kills: number },
  postgres: OwnPostgresServer | null,
): Promise<LaneReport> {
  const place = await openPlace(cell, postgres);
  const report = await runLane(place, options);
  // The places of broken promises stay to be looked at.
  if (violations([{ ...cell, lanes: [report] }]).length === 0) await place.remove();
  else process.stderr.write(`${cell.database} ${cell.executor} seed ${options.seed}: kept ${place.home} ${place.workspace.path}\n`);
  return report;
} // prettier-ignore

/** Every broken promise, with what is needed to see it again. */
export function violations(reports: readonly CellReport[]): string[] {
  return reports.flatMap(({ database, executor, lanes }) =>
    lanes.flatMap(({ seed, verdict }) =>
      PROMISES.flatMap((promise) =>
        verdict[promise].map((what) => `${database} ${executor} seed ${seed}: ${promise}: ${what}`),
      ),
    ),
  );
}

/** As Markdown, for people. */
export function tableOf(reports: readonly CellReport[]): string {
  const head = ['database', 'executor', 'kills of servers', 'of supervisors', 'runs', 'executed', 'replays', ...PROMISES];
  const rows = reports.map(({ database, executor, lanes }) => [database, executor, ...figuresOf(lanes)]);
  const all = ['all', '', ...figuresOf(reports.flatMap(({ lanes }) => lanes))];
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...[...rows, all].map(line)].join('\n');
} // prettier-ignore

function figuresOf(lanes: readonly LaneReport[]): number[] {
  const sum = (of: (lane: LaneReport) => number): number => lanes.reduce((total, one) => total + of(one), 0);
  return [
    sum(({ kills }) => kills.server),
    sum(({ kills }) => kills.supervisor),
    sum(({ verdict }) => verdict.runs),
    sum(({ verdict }) => verdict.executed),
    sum(({ book }) => book.replays),
    ...PROMISES.map((promise) => sum(({ verdict }) => verdict[promise].length)),
  ];
}
