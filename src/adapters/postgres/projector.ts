import type { Cell } from '../../runs/row.ts';
import type { Projector } from '../../ledger/verify-projection.ts';
import { cellsOf, NARROW_COLUMNS } from '../sql/narrow.ts';
import { plain } from './plain-text.ts';
import { columnsOf, narrow, RUN_COLUMNS } from './projection.ts';

/** What the tables say about a record. */
export const projector: Projector = {
  columns: { runs: RUN_COLUMNS, narrow_runs: NARROW_COLUMNS },
  row(run) {
    const row = columnsOf(run);
    return RUN_COLUMNS.map((column) => textOf(row[column]));
  },
  narrow: (run) => cellsOf(narrow(run)),
  text: plain,
};

/** A cell of `runs` as the database writes it as text, so that a row is a list of one type. */
export function textOf(value: Cell | boolean): Cell {
  return value === null ? null : String(value);
}
