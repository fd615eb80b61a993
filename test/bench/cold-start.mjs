import { MODERN, start } from './client.mjs';
import { pairs, ratioRow } from './stats.mjs';
import { ECHO, EVERYTHING, MAIN } from './world.mjs';

const RUNS = 15;

/** From the start of the process to its first answer. */
export async function coldStart(world) {
  const first = (args, method, params) => async () => {
    const server = start(args, world.env);
    await server.request(method, params ?? server.initializeParams);
    await server.kill();
  };
  const legacy = (args) => first(args, 'initialize');
  const modern = (args) => first(args, 'server/discover', { _meta: MODERN });
  const everything = legacy([EVERYTHING, 'stdio']);
  await legacy([MAIN])();
  await everything();
  return [
    ratioRow('cold start, 2025 handshake', {
      times: await pairs(RUNS, legacy([MAIN]), everything),
      bar: 1,
      other: 'server-everything',
      digits: 0,
    }),
    ratioRow('cold start, server/discover', {
      times: await pairs(RUNS, modern([MAIN]), everything),
      bar: 1,
      other: 'server-everything',
      digits: 0,
    }),
    ratioRow('cold start against a bare echo', {
      times: await pairs(RUNS, legacy([MAIN]), legacy([ECHO])),
      bar: null,
      other: 'echo',
      digits: 0,
    }),
  ];
}
