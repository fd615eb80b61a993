import { hostFacts, createIds, systemClock } from '../adapters/host/host.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import type { Caller } from '../runs/start.ts';
import { createCallRecorder, NO_TRAIL, type CallRecorder } from '../runs/trail.ts';
import type { Log } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';

interface CallerParts {
  config: Config;
  records: Records;
  redaction: Redaction;
  log: Log;
}

export function recorderOf({ config, records, redaction, log }: CallerParts): CallRecorder {
  if (config.trail === 'off') return NO_TRAIL;
  return createCallRecorder({
    append: (event) => records.trail.append(event),
    key: () => records.ledger.key(),
    redact: (text) => redaction.text(text),
    ids: createIds(systemClock),
    clock: systemClock,
    log,
  });
}

/** Over stdio the principal is the OS user that started the server. */
export function osPrincipal(): Caller['principal'] {
  const { os_user, uid, hostname } = hostFacts();
  return { kind: 'os', issuer: hostname, subject: `${uid}:${os_user}`, display: os_user };
}
