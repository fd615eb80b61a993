interface Identified {
  run_id: string;
}

type Groups<S> = { [K in keyof S]: S[K] extends Iterable<infer T> ? T[] : never };

/** Walks streams that are ordered by `run_id` side by side: for each id what each stream has of it. */
export function* groupsById<S extends Record<string, IterableIterator<Identified>>>(
  streams: S,
): Generator<[string, Groups<S>]> {
  const readers = Object.entries(streams).map(([name, items]) => ({ name, take: taker(items) }));
  for (;;) {
    const heads = readers.map(({ take }) => take.head()).filter((id) => id !== null);
    if (heads.length === 0) return;
    const id = heads.reduce((a, b) => (b < a ? b : a));
    const members = readers.map(({ name, take }) => [name, take.all(id)]);
    yield [id, Object.fromEntries(members) as Groups<S>];
  }
}

function taker(items: Iterator<Identified>): { head(): string | null; all(id: string): Identified[] } {
  let next = items.next();
  const head = (): string | null => (next.done ? null : next.value.run_id);
  return {
    head,
    all(id) {
      const taken: Identified[] = [];
      while (!next.done && next.value.run_id === id) {
        taken.push(next.value);
        next = items.next();
      }
      return taken;
    },
  };
}
