import prom from 'prom-client';
import type { Observe } from '../record-call.ts';

export interface Metrics {
  observe: Observe;
  /** In the text format of Prometheus. */
  text(): Promise<{ type: string; text: string }>;
}

export interface MetricSources {
  sessions: () => number;
  /** Executions that this process supervises. */
  supervised: () => number;
  version: string;
}

/** From a call that is answered from memory to one that waits for a run. */
const SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** How the server is used. Names of workspaces, people and the like are no part of it: whoever reads it need not see them. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry });
  const calls = new prom.Histogram({
    name: 'polycrate_mcp_call_seconds',
    help: 'Calls of tools and resources, by their outcome in the trail',
    labelNames: ['tool', 'outcome'],
    buckets: SECONDS,
    registers: [registry],
  });
  gauge('polycrate_mcp_sessions', 'Open sessions of clients of the 2025 revisions', sources.sessions);
  gauge('polycrate_mcp_supervised_runs', 'Action Runs that this process supervises', sources.supervised);
  new prom.Gauge({
    name: 'polycrate_mcp_info',
    help: 'Always 1; the label is the version',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version: sources.version }, 1);
  return {
    observe: ({ tool, outcome, duration_ms }) => calls.observe({ tool, outcome }, duration_ms / 1000),
    text: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };

  function gauge(name: string, help: string, read: () => number): void {
    new prom.Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
}
