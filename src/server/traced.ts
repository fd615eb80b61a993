import { PROTOCOL_VERSION_META_KEY, type ServerContext } from '@modelcontextprotocol/server';
import { isObject } from '../shared/json.ts';
import type { Tracing } from '../shared/ports.ts';
import { envelopeOf } from './caller.ts';

// Spans as the semantic conventions of OpenTelemetry for MCP name them, which are in development still.

/** What of a request is the target of its method; a URI is not, as there are too many. */
export interface Target {
  tool?: string;
  uri?: string;
}

/** Does the work within a span, if there are traces. */
export async function traced<T>(
  tracing: Tracing | null | undefined,
  { ctx, target }: { ctx: ServerContext; target: Target },
  work: () => Promise<T>,
): Promise<T> {
  if (!tracing) return await work();
  const span = tracing.begin(spanOf(ctx, target));
  try {
    const result = await work();
    const run_id = runIdIn(result);
    span.end({
      error: isObject(result) && result['isError'] === true ? 'tool_error' : null,
      ...(run_id !== null && { attributes: { 'polycrate.action_run.id': run_id } }),
    });
    return result;
  } catch (error) {
    const code: unknown = isObject(error) ? error['code'] : undefined;
    span.end({
      error: error instanceof Error ? error.name : 'error',
      ...(typeof code === 'number' && { attributes: { 'rpc.response.status_code': String(code) } }),
    });
    throw error;
  }
}

function spanOf(ctx: ServerContext, { tool, uri }: Target): Parameters<Tracing['begin']>[0] {
  const { method, id, _meta } = ctx.mcpReq;
  const version = envelopeOf(ctx)[PROTOCOL_VERSION_META_KEY];
  const traceparent = _meta?.['traceparent'];
  return {
    name: tool === undefined ? method : `${method} ${tool}`,
    at: Date.now(),
    traceparent: typeof traceparent === 'string' ? traceparent : null,
    attributes: {
      'mcp.method.name': method,
      'jsonrpc.request.id': String(id),
      'network.transport': ctx.http ? 'tcp' : 'pipe',
      ...(tool !== undefined && { 'gen_ai.tool.name': tool, 'gen_ai.operation.name': 'execute_tool' }),
      ...(uri !== undefined && { 'mcp.resource.uri': uri }),
      ...(typeof version === 'string' && { 'mcp.protocol.version': version }),
      ...(ctx.sessionId !== undefined && { 'mcp.session.id': ctx.sessionId }),
    },
  };
}

function runIdIn(result: unknown): string | null {
  const data = isObject(result) ? result['structuredContent'] : null;
  const run = isObject(data) ? data['run'] : null;
  const id = isObject(run) ? run['id'] : null;
  return typeof id === 'string' ? id : null;
}
