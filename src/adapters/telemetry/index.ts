import type { SpanStatus } from '@opentelemetry/api';
import { messageOf } from '../../shared/errors.ts';
import type { Log, Span, Tracing } from '../../shared/ports.ts';

export interface TelemetryOptions {
  /** Of a collector that takes OTLP over HTTP, without the path of traces. */
  endpoint: string;
  version: string;
  log: Log;
}

/** Bounds what waits for a collector that is away. */
const TIMEOUT_MS = 5_000;

interface Recorder {
  record(span: Span, how: Parameters<ReturnType<Tracing['begin']>['end']>[0] & { at: number }): void;
  close(): Promise<void>;
}

/** Traces to an OpenTelemetry collector. Its packages are loaded by the first span, and may be absent: then there are no traces. */
export function createTracing({ endpoint, version, log }: TelemetryOptions): Tracing {
  let loading: Promise<Recorder | null> | null = null;
  const recorder = (): Promise<Recorder | null> =>
    (loading ??= load(endpoint, version).catch((error: unknown) => {
      log('warn', 'traces are off: the optional packages @opentelemetry/* cannot be loaded', { error: messageOf(error) });
      return null;
    }));
  return {
    begin(span) {
      void recorder();
      return {
        end(how) {
          const at = Date.now();
          void recorder().then((found) => found?.record(span, { ...how, at }));
        },
      };
    },
    async close() {
      await (await loading)?.close().catch((error: unknown) => log('warn', 'the last traces were not taken', { error: messageOf(error) }));
    },
  };
} // prettier-ignore

async function load(endpoint: string, version: string): Promise<Recorder> {
  const [api, { OTLPTraceExporter }, { resourceFromAttributes }, sdk] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base'),
  ]);
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'polycrate-mcp', 'service.version': version }),
    spanProcessors: [
      new sdk.BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: TIMEOUT_MS }), {
        exportTimeoutMillis: TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('polycrate-mcp', version);
  return {
    record({ name, at, traceparent, attributes }, how) {
      const parent = parentOf(traceparent);
      const context = parent ? api.trace.setSpanContext(api.ROOT_CONTEXT, parent) : api.ROOT_CONTEXT;
      const options = { kind: api.SpanKind.SERVER, startTime: at, attributes: { ...attributes, ...how.attributes } };
      const span = tracer.startSpan(name, options, context);
      if (how.error !== null) {
        span.setAttribute('error.type', how.error);
        span.setStatus({ code: api.SpanStatusCode.ERROR } satisfies SpanStatus);
      }
      span.end(how.at);
    },
    close: () => provider.shutdown(),
  };
} // prettier-ignore

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** W3C trace context, as a caller sent it. */
function parentOf(
  traceparent: string | null,
): { traceId: string; spanId: string; traceFlags: number; isRemote: true } | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (!traceId || !spanId || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, traceFlags: parseInt(flags!, 16) & 1, isRemote: true };
}
