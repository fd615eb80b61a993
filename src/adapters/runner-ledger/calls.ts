import type { CallSource } from '../../runners/attend.ts';
import { POLL_MS } from '../../runners/choose.ts';
import type { Wire } from './wire.ts';
import { timeLimit } from '../../shared/time-limit.ts';

/** What the network may take besides. */
const SLACK_MS = 10_000;

/** Calls that the server hands over, asked for from here. */
export function createCallSource(wire: Wire): CallSource {
  return {
    enter: (runner) => wire.call('calls/enter', { runner }),
    rules: () => wire.call('calls/rules', {}),
    next: (name, taker, signal) =>
      wire.once('calls/next', { name, taker }, timeLimit(POLL_MS + SLACK_MS, signal)),
    answer: (name, call, answer) => wire.call('calls/answer', { name, call, answer }),
    async leave(name) {
      await wire.call('calls/leave', { name });
    },
  };
} // prettier-ignore
