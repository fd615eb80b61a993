import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerResponse } from 'node:http';

/** How the answer of one HTTP request fares. Over stdio there is none: writing it is handing it over. */
export interface Delivery {
  /** True: the whole answer went out. False: the client was gone before. */
  done: Promise<boolean>;
}

const current = new AsyncLocalStorage<Delivery>();

/** Calls that `work` leads to are answered by this response. */
export async function delivering(response: ServerResponse, work: () => Promise<void>): Promise<void> {
  const done = new Promise<boolean>((resolve) => {
    response.once('finish', () => resolve(true));
    response.once('close', () => resolve(response.writableFinished));
  });
  await current.run({ done }, work);
}

export function currentDelivery(): Delivery | undefined {
  return current.getStore();
}
