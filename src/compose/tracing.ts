import { createTracing } from '../adapters/telemetry/index.ts';
import { VERSION, type Config } from '../config.ts';
import type { Log, Tracing } from '../shared/ports.ts';

/** Null: nobody named a place for traces, and nothing of them is loaded. */
export function tracingOf({ otlpEndpoint }: Config, log: Log): Tracing | null {
  return otlpEndpoint === null ? null : createTracing({ endpoint: otlpEndpoint, version: VERSION, log });
}
