export type Cell = string | number | null;

/** A row of a table that is derived from events, as it is stored. */
export type Row = Record<string, Cell>;
