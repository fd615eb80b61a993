// Misbehaviour on command. A rule is {kind, match?: {method, path}, times?, probability?, …}; the first that fits a
// request is used, `times` times (1). `before` ends a request unanswered or otherwise; `send` spoils the answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { refusal } from './operations.mjs';

const HTML = '<!doctype html><html><body><h1>Something went wrong</h1><p>KEY-IN-HTML</p></body></html>';

/** Numbers below 1 that are the same for the same seed. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function createFaults() {
  let rules = [];
  let random = randomOf(1);
  return {
    set(next, seed) {
      rules = next.map((rule) => ({ times: rule.probability === undefined ? 1 : Infinity, ...rule }));
      if (seed !== undefined) random = randomOf(seed);
    },
    left: () => rules.map(({ kind, times }) => ({ kind, times })),
    of(method, path, query) {
      const rule = rules.find(
        ({ match = {}, times, probability = 1 }) =>
          times > 0 &&
          (match.method === undefined || match.method === method) &&
          (match.path === undefined || new RegExp(match.path).test(path)) &&
          (match.query === undefined || new RegExp(match.query).test(query)) &&
          random() < probability,
      );
      if (rule) rule.times -= 1;
      return rule ?? null;
    },
  };
}

/** True: the request is dealt with, and the API never sees it. */
export async function before(rule, { response, socket }) {
  switch (rule?.kind) {
    case 'delay':
      await sleep(rule.ms);
      return false;
    case 'hang':
      return true;
    case 'reset':
      socket.destroy();
      return true;
    case 'status': {
      const { status, code = 'error', headers = {}, html } = rule;
      const { body } = refusal(status, code, rule.detail ?? 'on command', rule.attr);
      response.writeHead(status, { 'content-type': html ? 'text/html' : 'application/json', ...headers });
      response.end(html ? HTML : JSON.stringify(rule.body ?? body));
      return true;
    }
    case 'redirect':
      response.writeHead(302, { location: 'https://elsewhere.example.com/login' }).end();
      return true;
    default:
      return false;
  }
}

/** Sends an answer, spoilt as the rule says. */
export async function send(rule, { response, socket, status, body, headers }) {
  let bytes = Buffer.from(JSON.stringify(rule?.kind === 'huge' ? { ...body, log_stdout: 'x'.repeat(rule.bytes) } : body));
  const head = { 'content-type': 'application/json', ...headers };
  switch (rule?.kind) {
    case 'lost_reply':
      socket.destroy();
      return;
    case 'reset_mid':
      response.writeHead(status, { ...head, 'content-length': bytes.length });
      response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => socket.destroy());
      return;
    case 'truncate':
      bytes = bytes.subarray(0, Math.floor(bytes.length / 2));
      break;
    case 'bad_utf8':
      bytes = Buffer.from(bytes.toString('latin1').replaceAll(rule.text, '\xff\xfe\xc3'), 'latin1');
      break;
    case 'no_json':
      bytes = Buffer.from(HTML);
      break;
    case 'slow':
      response.writeHead(status, head);
      for (const byte of bytes) {
        if (socket.destroyed) return;
        response.write(Buffer.of(byte));
        await sleep(rule.ms);
      }
      response.end();
      return;
  }
  response.writeHead(status, { ...head, 'content-length': bytes.length }).end(bytes);
} // prettier-ignore
