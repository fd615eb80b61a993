import type { Reach } from './reach.ts';

type Method = (...given: unknown[]) => Promise<unknown>;

/** The same methods, each answered from the journal while the database is away. */
export function routed<T extends object>(
  reach: Reach,
  { database, journal }: { database: T; journal: T },
): T {
  return each(database, (name) => async (...given) => {
    const [here, there] = [database[name] as Method, journal[name] as Method];
    return (await reach.away()) === null ? await reach.try(() => here(...given)) : await there(...given);
  });
}

/** The same methods, each failing at once while the database is away. */
export function asked<T extends object>(reach: Reach, database: T): T {
  return each(
    database,
    (name) =>
      (...given) =>
        reach.ask(() => (database[name] as Method)(...given)),
  );
}

function each<T extends object>(of: T, make: (name: keyof T) => Method): T {
  const names = Object.keys(of) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, make(name)])) as T;
}
