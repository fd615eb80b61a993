import type { Telling, Tellings } from '../runs/untold.ts';
import { currentDelivery } from './delivery.ts';

/** Follows whether a caller gets to know what its call led to. */
export interface Following {
  telling: Telling;
  /** The answer is made and handed to the library. */
  answered(): void;
}

/** `signal` is aborted when the call is cancelled; the library also does that once it has answered over HTTP. */
export function followCaller(tellings: Pick<Tellings, 'open'>, signal: AbortSignal): Following {
  const delivery = currentDelivery();
  const gone = new AbortController();
  let isAnswered = false;
  const leave = (): void => {
    if (!isAnswered) gone.abort();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  void delivery?.done.then((whole) => {
    if (!whole) gone.abort();
  });
  const telling = tellings.open(gone.signal);
  return {
    telling,
    answered() {
      isAnswered = true;
      if (delivery) void delivery.done.then((whole) => (whole ? telling.told() : telling.vanished()));
      // Over stdio the library writes the answer before it gives the event loop back.
      else setImmediate(() => telling.told());
    },
  };
}
