import { systemClock } from '../adapters/host/host.ts';
import { createWebhook } from '../adapters/webhooks/index.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createWebhooks, type Webhooks } from '../platform/webhooks.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { Log } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import { fetchOf } from './api.ts';

interface Parts {
  config: Config;
  records: Records;
  redaction: Redaction;
  link(run: ActionRun): Promise<string | null>;
  log: Log;
}

export function webhooksOf({ config, records, redaction, link, log }: Parts): Webhooks {
  const { webhooks = null, webhookSecret: secret } = config;
  const { watch, ledger, check } = records;
  const fetch = fetchOf(config);
  return createWebhooks({
    webhooks: (webhooks ?? []).map((one) =>
      createWebhook({ ...one, secret, now: () => systemClock.now(), fetch }),
    ),
    queue: records.webhooks,
    ledger,
    ledgerId: () => check.id(),
    link,
    redact: (text) => redaction.text(text),
    watch,
    clock: systemClock,
    log,
  });
}
