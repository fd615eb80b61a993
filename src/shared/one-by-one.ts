/** Does what is asked for under one name one after the other, whatever became of the one before. */
export type OneByOne = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export function createOneByOne(): OneByOne {
  const busy = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const own = (busy.get(name) ?? Promise.resolve()).then(work, work);
    const settled = own.then(
      () => undefined,
      () => undefined,
    );
    busy.set(name, settled);
    void settled.then(() => busy.get(name) === settled && busy.delete(name));
    return await own;
  };
}
