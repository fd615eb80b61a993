import { createRunRedaction, type RunRedaction } from '../../runs/run-redaction.ts';
import { keyedSecrets, secretValues } from '../../shared/secrets.ts';
import type { JsonObject } from '../../shared/json.ts';
import type { Place } from '../../access/identity.ts';

/** What reports must not show: the secrets of their workspace, if it is known here, and of the configuration that came along. */
export interface IngestRedactions {
  of(place: Place, config: JsonObject | null): Promise<RunRedaction & { secrets: readonly string[] }>;
  /** A start brings the configuration and the finish the output: what the first taught holds for the second. */
  keep(run_id: string, secrets: readonly string[]): void;
  /** With what was kept of the run. */
  resume(run_id: string, place: Place): Promise<RunRedaction>;
}

/** Runs whose configuration is remembered until they end; of more, the oldest are forgotten. */
const MOST_KEPT = 5_000;

export function createIngestRedactions(secretsOf: (place: Place) => Promise<readonly string[]>): IngestRedactions {
  const kept = new Map<string, readonly string[]>();
  return {
    async of(place, config) {
      const secrets = config === null ? [] : [...secretValues(config), ...keyedSecrets(config)];
      return { ...createRunRedaction([...(await secretsOf(place)), ...secrets]), secrets };
    },
    keep(run_id, secrets) {
      if (secrets.length === 0) return;
      if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!);
      kept.set(run_id, secrets);
    },
    async resume(run_id, place) {
      const secrets = kept.get(run_id) ?? [];
      return createRunRedaction([...(await secretsOf(place)), ...secrets]);
    },
  };
} // prettier-ignore
